import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.math.BigDecimal;
import java.net.ConnectException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * Appends, reads and follows payments over HTTP with java.net.http. Copy what you need.
 *
 * <pre>
 * pay p1 100.00        appends PaymentProcessed, if there is no such payment yet
 * refund p1 30.00      appends PaymentRefunded, if the payment still allows it
 * show p1              prints the payment's events
 * follow place.txt     prints every payment's events, and goes on where it ended last time
 * </pre>
 */
public final class Payments {
    static final String URL = env("POLYLOG_URL", "http://127.0.0.1:7300") + "/v1/";
    /** For an append with all its tries. */
    static final Duration DEADLINE = Duration.ofMillis((long) (1000 * Double.parseDouble(env("POLYLOG_DEADLINE", "10"))));
    static final Duration PATIENCE = Duration.ofSeconds(6);
    static final ObjectMapper JSON = new ObjectMapper();
    static final HttpClient HTTP = HttpClient.newBuilder()
        .version(HttpClient.Version.HTTP_1_1)
        .connectTimeout(Duration.ofSeconds(2))
        .build();

    /** The store answered with a problem; code() is the word to branch on. */
    static final class Refused extends Exception {
        final JsonNode problem;

        Refused(JsonNode problem) {
            super("refused: " + problem.path("code").asText() + ": " + problem.path("detail").asText() + "; "
                + problem.path("nextStep").asText());
            this.problem = problem;
        }

        String code() {
            return problem.path("code").asText();
        }

        boolean mayPass() {
            return problem.path("retry").asBoolean();
        }
    }

    /** The events may be written, now or later. To find out, send the very same body again. */
    static final class OutcomeUnknown extends Exception {
        final String body;

        OutcomeUnknown(String body, Exception reason) {
            super("unknown: it is not known whether the events were written: " + reason, reason);
            this.body = body;
        }
    }

    /** Waits between tries, half of them at random, so that many clients that lost a server do not come back at once. */
    static final class Backoff {
        private long millis = 50;

        Duration next() {
            long wait = (long) (millis * ThreadLocalRandom.current().nextDouble(0.5, 1));
            millis = Math.min(millis * 2, 2000);
            return Duration.ofMillis(wait);
        }
    }

    /** Appends an event to a stream that must be at the expected version. Tries again until the deadline. */
    static JsonNode append(String stream, Object expected, String type, Object data) throws Exception {
        // The id is made once, before the first try: the store recognises it, so that no try writes a second time.
        ObjectNode event = JSON.createObjectNode().put("id", UUID.randomUUID().toString()).put("type", type);
        event.set("data", JSON.valueToTree(data));
        ObjectNode body = JSON.createObjectNode();
        body.set("expectedVersion", JSON.valueToTree(expected));
        body.set("events", JSON.createArrayNode().add(event));
        return send(stream, body.toString());
    }

    static JsonNode send(String stream, String body) throws Exception {
        Instant ends = Instant.now().plus(DEADLINE);
        Backoff backoff = new Backoff();
        boolean inDoubt = false;
        while (true) {
            Exception failure;
            boolean mayPass = true;
            Duration wait = backoff.next();
            try {
                Duration left = least(Duration.between(Instant.now(), ends), PATIENCE);
                HttpRequest request = request("streams/" + escaped(stream), left)
                    .header("Content-Type", "application/json")
                    .POST(HttpRequest.BodyPublishers.ofString(body))
                    .build();
                HttpResponse<String> answer = HTTP.send(request, BodyHandlers.ofString());
                if (answer.statusCode() < 300) {
                    return JSON.readTree(answer.body());
                }
                wait = most(wait, retryAfter(answer));
                Refused refused = new Refused(problemOf(answer));
                // Of a conflict nothing was written, by earlier tries neither: ids are looked up before versions are
                // compared. It is never tried again as it is: what it was decided on has changed.
                if (List.of("version_conflict", "id_conflict").contains(refused.code())) {
                    throw refused;
                }
                mayPass = refused.mayPass();
                inDoubt |= !refused.problem.path("written").asText().equals("nothing");
                failure = refused;
            } catch (ConnectException notSent) {
                failure = notSent;
            } catch (IOException cutOrLate) {
                inDoubt = true; // perhaps it was written
                failure = cutOrLate;
            }
            if (!mayPass || Instant.now().plus(wait).isAfter(ends)) {
                throw inDoubt ? new OutcomeUnknown(body, failure) : failure;
            }
            Thread.sleep(wait.toMillis());
        }
    }

    /** Asks until there is an answer, for as long as an append may take: reads change nothing. */
    static JsonNode get(String path) throws Exception {
        Instant ends = Instant.now().plus(DEADLINE);
        Backoff backoff = new Backoff();
        while (true) {
            Exception failure;
            try {
                HttpResponse<String> answer = HTTP.send(request(path, PATIENCE).build(), BodyHandlers.ofString());
                if (answer.statusCode() < 300) {
                    return JSON.readTree(answer.body());
                }
                Refused refused = new Refused(problemOf(answer));
                if (!refused.mayPass()) {
                    throw refused;
                }
                failure = refused;
            } catch (IOException error) {
                failure = error;
            }
            Duration wait = backoff.next();
            if (Instant.now().plus(wait).isAfter(ends)) {
                throw failure;
            }
            Thread.sleep(wait.toMillis());
        }
    }

    /** Hands over all events of a stream, page by page; none if it does not exist. */
    static void read(String stream, Consumer<JsonNode> handle) throws Exception {
        long from = 1;
        for (boolean atEnd = false; !atEnd; ) {
            JsonNode page;
            try {
                page = get("streams/" + escaped(stream) + "?from=" + from + "&limit=100");
            } catch (Refused refused) {
                if (refused.code().equals("stream_not_found")) {
                    return;
                }
                throw refused;
            }
            page.path("events").forEach(handle);
            from = page.path("nextFrom").asLong();
            atEnd = page.path("atEnd").asBoolean();
        }
    }

    /** Is handed what follows; false ends it. Without an event only the place moved, past events that are not shown. */
    interface Handler {
        boolean handle(String place, Optional<JsonNode> event) throws Exception;
    }

    /** Follows some categories for ever, beginning after the place. Reconnects. */
    static void follow(String place, String categories, Handler handler) throws Exception {
        ScheduledExecutorService watch = Executors.newSingleThreadScheduledExecutor(task -> {
            Thread thread = new Thread(task);
            thread.setDaemon(true);
            return thread;
        });
        Backoff backoff = new Backoff();
        while (true) {
            HttpRequest.Builder request = HttpRequest.newBuilder(
                URI.create(URL + "subscribe?from=beginning&categories=" + escaped(categories)));
            if (!place.isEmpty()) {
                request.header("Last-Event-ID", place);
            }
            try {
                HttpResponse<InputStream> answer = HTTP.send(request.build(), BodyHandlers.ofInputStream());
                try (InputStream body = answer.body();
                        BufferedReader lines = new BufferedReader(new InputStreamReader(body, StandardCharsets.UTF_8))) {
                    if (answer.statusCode() != 200) {
                        again(JSON.readTree(body));
                    }
                    String id = "";
                    String kind = "";
                    String data = "";
                    while (true) {
                        // A heartbeat comes each 15 s: 30 s of silence mean that the connection is dead.
                        ScheduledFuture<?> dead = watch.schedule(() -> closed(body), 30, TimeUnit.SECONDS);
                        String line = lines.readLine();
                        dead.cancel(false);
                        if (line == null) {
                            break;
                        } else if (line.startsWith("id: ")) {
                            id = line.substring(4);
                        } else if (line.startsWith("event: ")) {
                            kind = line.substring(7);
                        } else if (line.startsWith("data: ")) {
                            data = line.substring(6);
                        } else if (line.isEmpty() && !kind.isEmpty()) {
                            if (kind.equals("error")) {
                                again(JSON.readTree(data));
                                break;
                            }
                            Optional<JsonNode> event =
                                kind.equals("event") ? Optional.of(JSON.readTree(data)) : Optional.empty();
                            place = id;
                            backoff = new Backoff();
                            if (!handler.handle(place, event)) {
                                return;
                            }
                            kind = "";
                        }
                    }
                }
            } catch (IOException cut) {
                // connect again with the last place
            }
            Thread.sleep(backoff.next().toMillis());
        }
    }

    /** Throws what does not pass by itself. */
    static void again(JsonNode problem) throws Refused {
        Refused refused = new Refused(problem);
        if (!refused.mayPass()) {
            throw refused;
        }
    }

    static JsonNode pay(String payment, String amount) throws Exception {
        ObjectNode data = JSON.createObjectNode().put("amount", amount).put("currency", "EUR");
        return append("Payment-" + payment, "noStream", "PaymentProcessed", data);
    }

    static JsonNode refund(String payment, String amount) throws Exception {
        while (true) {
            ArrayNode events = JSON.createArrayNode();
            read("Payment-" + payment, events::add);
            BigDecimal left = BigDecimal.ZERO;
            for (JsonNode event : events) {
                left = switch (event.path("type").asText()) {
                    case "PaymentProcessed" -> left.add(new BigDecimal(event.at("/data/amount").asText()));
                    case "PaymentRefunded" -> left.subtract(new BigDecimal(event.at("/data/refundAmount").asText()));
                    default -> left;
                };
            }
            if (new BigDecimal(amount).compareTo(left) > 0) {
                throw new IllegalArgumentException("refused: " + left + " is left of the payment");
            }
            try {
                ObjectNode data = JSON.createObjectNode().put("refundAmount", amount);
                return append("Payment-" + payment, events.size(), "PaymentRefunded", data);
            } catch (Refused refused) {
                if (!refused.code().equals("version_conflict")) {
                    throw refused;
                }
                System.err.println("somebody was faster: reading again");
            }
        }
    }

    static void printFollowing(Path file, int count) throws Exception {
        String place = Files.exists(file) ? Files.readString(file) : "";
        int[] left = {count};
        follow(place, "Payment", (newPlace, event) -> {
            event.ifPresent(shown -> System.out.println(shown.path("position").asLong() + " " + shown.path("stream").asText()
                + " " + shown.path("version").asLong() + " " + shown.path("type").asText()));
            // Kept after what it stands for is done: a crash in between repeats one event, none is lost. Where a database
            // takes what you derive, keep the place in the same transaction, and nothing is repeated either.
            Path fresh = Path.of(file + ".new");
            Files.writeString(fresh, newPlace);
            Files.move(fresh, file, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
            return event.isEmpty() || --left[0] != 0;
        });
    }

    public static void main(String[] arguments) throws Exception {
        try {
            switch (arguments.length > 1 ? arguments[0] : "") {
                case "pay", "refund" -> {
                    boolean isPay = arguments[0].equals("pay");
                    JsonNode answer = isPay ? pay(arguments[1], arguments[2]) : refund(arguments[1], arguments[2]);
                    System.out.println("version " + answer.path("lastVersion").asLong()
                        + (answer.path("repeated").asBoolean() ? " (an earlier try had written it)" : ""));
                }
                case "show" -> read("Payment-" + arguments[1], event -> System.out.println(
                    event.path("version").asLong() + " " + event.path("type").asText() + " " + event.path("data")));
                case "follow" -> printFollowing(
                    Path.of(arguments[1]), arguments.length > 2 ? Integer.parseInt(arguments[2]) : -1);
                default -> throw new IllegalArgumentException("pay, refund, show or follow?");
            }
        } catch (OutcomeUnknown unknown) {
            System.err.println(unknown.getMessage());
            System.exit(4);
        } catch (Refused | IllegalArgumentException | IOException failed) {
            System.err.println(failed.getMessage());
            System.exit(1);
        }
    }

    static HttpRequest.Builder request(String path, Duration patience) {
        return HttpRequest.newBuilder(URI.create(URL + path)).timeout(most(patience, Duration.ofMillis(10)));
    }

    static JsonNode problemOf(HttpResponse<String> answer) throws IOException {
        if (!answer.headers().firstValue("Content-Type").orElse("").equals("application/problem+json")) {
            throw new IOException("status " + answer.statusCode() + ", not from Polylog");
        }
        return JSON.readTree(answer.body());
    }

    static Duration retryAfter(HttpResponse<?> answer) {
        return Duration.ofSeconds(answer.headers().firstValueAsLong("Retry-After").orElse(0));
    }

    static String escaped(String part) {
        return URLEncoder.encode(part, StandardCharsets.UTF_8).replace("+", "%20");
    }

    static void closed(InputStream body) {
        try {
            body.close();
        } catch (IOException ignored) {
            // it is dead anyway
        }
    }

    static String env(String name, String otherwise) {
        return Optional.ofNullable(System.getenv(name)).orElse(otherwise);
    }

    static Duration least(Duration one, Duration other) {
        return one.compareTo(other) < 0 ? one : other;
    }

    static Duration most(Duration one, Duration other) {
        return one.compareTo(other) > 0 ? one : other;
    }
}
