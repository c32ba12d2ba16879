import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.h2.mvstore.MVStore;

/**
 * mongo-java-server as the tests want it.
 *
 * <p>usage: Node PORT READY memory|FILE [HABIT,...]
 *
 * <p>READY is a file that gets the number of this process when the server listens. Without habits a server with a file
 * has everything there before it answers, as a journal would; further habits break one property each. Habits may come and
 * go while it runs: they stand in the file READY.habits, if there is one.
 */
public class Node {
    private static final Set<String> WRITES =
        Set.of("insert", "update", "delete", "findAndModify", "create", "createIndexes", "drop", "dropDatabase", "dropIndexes");

    public static void main(String[] arguments) throws Exception {
        Set<String> habits = arguments.length > 3 ? Set.of(arguments[3].split(",")) : Set.of();
        Habits behaviour = new Habits(habits, Path.of(arguments[1] + ".habits"));
        boolean inMemory = arguments[2].equals("memory");
        var backend = inMemory ? new Memory(behaviour) : new Disk(open(arguments[2]), behaviour);
        backend.version(new Version());
        MongoServer server = new MongoServer(backend);
        server.bind("127.0.0.1", Integer.parseInt(arguments[0]));
        Path draft = Path.of(arguments[1] + ".draft");
        Files.writeString(draft, ProcessHandle.current().pid() + "\n");
        Files.move(draft, Path.of(arguments[1]), java.nio.file.StandardCopyOption.REPLACE_EXISTING);
        new CountDownLatch(1).await();
    }

    private static MVStore open(String file) {
        MVStore store = new MVStore.Builder().fileName(file).open();
        // only what a command has changed as a whole is written: see Disk
        store.setAutoCommitDelay(0);
        return store;
    }

    /** The drivers of today refuse what the server's own newest version says. */
    private static final class Version implements MongoVersion {
        @Override public List<Integer> getVersionArray() {
            return List.of(4, 4, 29, 0);
        }

        @Override public int getWireVersion() {
            return 9;
        }
    }

    private static final class Memory extends MemoryBackend {
        private final Habits habits;

        Memory(Habits habits) {
            this.habits = habits;
        }

        @Override public Document handleMessage(MongoMessage message) {
            return habits.answer(message, super::handleMessage);
        }
    }

    /** One write at a time, each on disk before its answer, unless it forgets. */
    private static final class Disk extends H2Backend {
        private final Habits habits;

        Disk(MVStore store, Habits habits) {
            super(store);
            this.habits = habits;
        }

        @Override public Document handleMessage(MongoMessage message) {
            return habits.answer(message, this::journaled);
        }

        private Document journaled(MongoMessage message) {
            if (habits.has("forgets") || !WRITES.contains(Habits.command(message))) {
                return super.handleMessage(message);
            }
            synchronized (this) {
                Document answer = super.handleMessage(message);
                commit();
                return answer;
            }
        }
    }

    private interface Handler {
        Document answer(MongoMessage message);
    }

    private record Habits(Set<String> names, Path more, AtomicInteger increments) {
        Habits(Set<String> names, Path more) {
            this(names, more, new AtomicInteger());
        }

        boolean has(String name) {
            return names.contains(name) || has_now(name);
        }

        private boolean has_now(String name) {
            if (!Files.exists(more)) {
                return false;
            }
            try {
                return List.of(Files.readString(more).split(",")).contains(name);
            } catch (java.io.IOException gone) {
                return false;
            }
        }

        private static Document refused(int code, String name, String message) {
            return new Document("ok", 0.0).append("code", code).append("codeName", name).append("errmsg", message);
        }

        static String command(MongoMessage message) {
            return message.getDocument().keySet().iterator().next();
        }

        Document answer(MongoMessage message, Handler server) {
            Document command = message.getDocument();
            Object writeConcern = command.get("writeConcern");
            Object w = writeConcern instanceof Document concern ? concern.get("w") : null;
            // the server itself does not look at it
            if (has("strict") && w instanceof String mode && !mode.equals("majority")) {
                return refused(79, "UnknownReplWriteConcern",
                    "No write concern mode named '" + mode + "' found in replica set configuration");
            }
            String name = command(message);
            if (has("password") && name.equals("saslStart")) {
                return refused(18, "AuthenticationFailed", "Authentication failed.");
            }
            if (has("no-inserts") && name.equals("insert")) {
                return refused(13, "Unauthorized", "not authorized to execute command { insert: ... }");
            }
            if (has("full") && WRITES.contains(name)) {
                return refused(14031, "OutOfDiskSpace", "available disk space is less than required minimum");
            }
            if (has("lost-increments") && command.containsKey("update") && command.toString().contains("$inc")
                && increments.incrementAndGet() % 3 == 0) {
                return new Document("ok", 1.0).append("n", 1).append("nModified", 1);
            }
            Document answer = server.answer(message);
            if (has("false-wins") && command.containsKey("update") && Integer.valueOf(0).equals(answer.get("n"))) {
                answer.put("n", 1);
                answer.put("nModified", 1);
            }
            if (has("double-ids") && command.containsKey("insert")) {
                answer.remove("writeErrors");
                answer.put("n", 1);
            }
            if (has("no-majority") && "majority".equals(w)) {
                answer.put("writeConcernError", new Document("code", 64).append("codeName", "WriteConcernFailed")
                    .append("errmsg", "waiting for replication timed out"));
            }
            return answer;
        }
    }
}
