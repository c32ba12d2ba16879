import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.plugins.PluginsLoader;

/** Usage: Node FOLDER MODULES READY [setting=value ...]. Writes its process number into READY when it answers. */
public class Node {
    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[0]).toAbsolutePath();
        Path config = folder.resolve("config");
        Files.createDirectories(config);
        Path modules = folder.resolve("modules");
        if (!Files.exists(modules)) {
            Files.createSymbolicLink(modules, Path.of(arguments[1]).toAbsolutePath());
        }
        Files.createDirectories(folder.resolve("plugins"));
        Settings.Builder builder = Settings.builder()
            .put("path.home", folder.toString())
            .put("cluster.name", "tests")
            .put("node.name", "n1")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("transport.type", "netty4")
            .put("http.type", "netty4")
            .put("transport.port", "0")
            .put("cluster.max_shards_per_node", 20000)
            .put("cluster.routing.allocation.disk.threshold_enabled", false);
        for (int i = 3; i < arguments.length; i++) {
            int end = arguments[i].indexOf('=');
            builder.put(arguments[i].substring(0, end), arguments[i].substring(end + 1));
        }
        Settings settings = builder.build();
        LogConfigurator.registerErrorListener();
        LogConfigurator.configureESLogging();
        LogConfigurator.setNodeName("n1");
        Environment environment = new Environment(settings, config);
        LogConfigurator.configureWithoutConfig(settings);
        PluginsLoader loader = PluginsLoader.createPluginsLoader(
            PluginsLoader.loadModulesBundles(environment.modulesDir(), false),
            PluginsLoader.loadPluginsBundles(environment.pluginsDir(), false),
            Map.of());
        var node = new org.elasticsearch.node.Node(environment, loader);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.prepareForClose();
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
