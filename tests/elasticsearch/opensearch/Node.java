import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.opensearch.Version;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.plugins.PluginInfo;

/** Usage: Node FOLDER MODULES READY [setting=value ...]. Writes its process number into READY when it answers. */
public class Node extends org.opensearch.node.Node {
    private static final String PLUGIN = "org.opensearch.transport.Netty4ModulePlugin";
    private static final String[] PLUGINS = {
        PLUGIN,
        "org.opensearch.analysis.common.CommonAnalysisModulePlugin",
        "org.opensearch.index.mapper.MapperExtrasModulePlugin",
    };

    private Node(Environment environment, Collection<PluginInfo> plugins) {
        super(environment, plugins, true);
    }

    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]).toAbsolutePath();
        Path config = folder.resolve("config");
        Files.createDirectories(config);
        Settings.Builder builder = Settings.builder()
            .put("path.home", folder.toString())
            .put("cluster.name", "tests")
            .put("node.name", "n1")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("transport.port", "0")
            .put("cluster.max_shards_per_node", 20000)
            .put("cluster.routing.allocation.disk.threshold_enabled", false);
        for (int i = 3; i < arguments.length; i++) {
            int end = arguments[i].indexOf('=');
            builder.put(arguments[i].substring(0, end), arguments[i].substring(end + 1));
        }
        Settings settings = builder.build();
        LogConfigurator.registerErrorListener();
        LogConfigurator.setNodeName("n1");
        LogConfigurator.configureWithoutConfig(settings);
        List<PluginInfo> plugins = new ArrayList<>();
        for (String name : PLUGINS) {
            plugins.add(new PluginInfo(name, "on the class path", "NA", Version.CURRENT, "1.8", name, null, List.of(), false));
        }
        Node node = new Node(new Environment(settings, config), plugins);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception error) {
                error.printStackTrace();
            }
        }));
        node.start();
        Files.writeString(Path.of(arguments[2]), ProcessHandle.current().pid() + "\n");
        new CountDownLatch(1).await();
    }
}
