-- The health check for Argo CD, over the states that an EventStore goes through. Argo CD reads Lua 5.1.
local check = assert(loadfile(arg[1]))
local failed = 0

local function expect(wanted, name, spec, generation, conditions)
  local status = { observedGeneration = generation, conditions = {} }
  for type, value in pairs(conditions) do
    table.insert(status.conditions, { type = type, status = value, reason = "Reason" .. type, message = "" })
  end
  obj = { metadata = { generation = 2 }, spec = spec, status = generation and status or nil }
  local found = check()
  if found.status ~= wanted or type(found.message) ~= "string" then
    print(name .. ": " .. tostring(found.status) .. " (" .. tostring(found.message) .. "), expected " .. wanted)
    failed = failed + 1
  end
end

expect("Progressing", "new", {}, nil, {})
expect("Progressing", "changed", {}, 1, { Ready = "True" })
expect("Progressing", "provisioned", {}, 2, { Valid = "True", Ready = "False", Available = "False", Reconciling = "True" })
expect("Healthy", "ready", {}, 2, { Valid = "True", Ready = "True", Available = "True" })
expect("Suspended", "waits for an approval", {}, 2, { Valid = "True", Ready = "False", Available = "True", ApprovalRequired = "True" })
expect("Suspended", "waits for its first approval", {}, 2, { Valid = "True", Ready = "False", Available = "False", ApprovalRequired = "True" })
expect("Degraded", "invalid", {}, 2, { Valid = "False", Ready = "False" })
expect("Degraded", "stalled", {}, 2, { Valid = "True", Ready = "False", Stalled = "True" })
expect("Degraded", "no appends", {}, 2, { Valid = "True", Ready = "False", Available = "False" })
expect("Suspended", "suspended", { suspend = true }, 2, { Ready = "True" })
expect("Healthy", "a strategy", {}, 2, { Valid = "True" })
os.exit(failed == 0 and 0 or 1)
