import java.util.concurrent.CompletableFuture;
import java.util.logging.Level;
import java.util.logging.Logger;

/** Prints stack traces the way Java programs do; the argument says which. */
public class Traces {
    static void connect(String host) {
        throw new IllegalStateException("no route to " + host);
    }

    static void load(String key) {
        try {
            connect("db");
        } catch (IllegalStateException e) {
            RuntimeException full = new RuntimeException("can't load " + key, e);
            full.addSuppressed(new java.io.IOException("while closing"));
            throw full;
        }
    }

    static void uncaught() {
        load("a");
    }

    static void multiline() {
        try {
            connect("a,\nb,\nor c");
        } catch (IllegalStateException e) {
            throw new RuntimeException("outer\nand more", e);
        }
    }

    static void printed() {
        try {
            load("b");
        } catch (RuntimeException e) {
            e.printStackTrace();
        }
    }

    static void threads() throws Exception {
        for (String name : new String[] {"one", "two"}) {
            Thread thread = new Thread(() -> connect(name), name);
            thread.start();
            thread.join();
        }
    }

    static void future() {
        CompletableFuture.runAsync(() -> load("c")).join();
    }

    static void logged() {
        Logger log = Logger.getLogger("app");
        log.info("started");
        try {
            load("d");
        } catch (RuntimeException e) {
            log.log(Level.SEVERE, "request failed", e);
        }
        log.warning("giving up");
    }


    public static void main(String[] args) throws Exception {
        System.err.println("ready");
        switch (args[0]) {
            case "uncaught": uncaught(); break;
            case "multiline": multiline(); break;
            case "printed": printed(); break;
            case "threads": threads(); break;
            case "future": future(); break;
            case "logged": logged(); break;
            default: throw new IllegalArgumentException(args[0]);
        }
        System.err.println("done");
    }
}
