-- Health of EventStore, ReplicationStrategy and Projection for Argo CD: in the ConfigMap argocd-cm, under the keys
-- resource.customizations.health.polylog.dev_EventStore, …_ReplicationStrategy and …_Projection.
-- A plan that waits for an approval is Suspended: nothing is wrong, and appends go on.
local conditions = {}
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    conditions[condition.type] = condition
  end
end
local function is(type, status)
  return conditions[type] ~= nil and conditions[type].status == status
end
local function health(status, type)
  local condition = conditions[type]
  local message = condition.reason or type
  if condition.message ~= nil and condition.message ~= "" then
    message = message .. ": " .. condition.message
  end
  return { status = status, message = message }
end

if obj.spec ~= nil and obj.spec.suspend == true then
  return { status = "Suspended", message = "spec.suspend" }
end
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "the operator has not seen this generation yet" }
end
if is("Valid", "False") then
  return health("Degraded", "Valid")
end
if is("Stalled", "True") then
  return health("Degraded", "Stalled")
end
if is("Available", "False") and not is("Reconciling", "True") and not is("ApprovalRequired", "True") then
  return health("Degraded", "Available")
end
if is("ApprovalRequired", "True") then
  return health("Suspended", "ApprovalRequired")
end
if is("Ready", "True") or (conditions.Ready == nil and is("Valid", "True")) then
  return health("Healthy", is("Ready", "True") and "Ready" or "Valid")
end
if conditions.Ready ~= nil then
  return health("Progressing", "Ready")
end
return { status = "Progressing", message = "no condition yet" }
