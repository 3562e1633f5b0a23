// A shop's work, measured with java-dogstatsd-client as an app would use it. Where the agent is, the client finds in the environment. The argument says
// how the client sends: `plain` or `aggregated` (its default). The same work is in ../hot-shots and ../go.

import com.timgroup.statsd.Event;
import com.timgroup.statsd.NonBlockingStatsDClientBuilder;
import com.timgroup.statsd.ServiceCheck;
import com.timgroup.statsd.StatsDClient;
import com.timgroup.statsd.TagsCardinality;

public final class App {
    /** What the app ends with, and nobody else. */
    private static final int EXIT_CODE = 7;

    public static void main(String[] arguments) throws Exception {
        long then = Long.parseLong(System.getenv("THEN"));
        StatsDClient client = new NonBlockingStatsDClientBuilder()
            .enableAggregation(arguments[0].equals("aggregated"))
            .containerID("00f4")
            .tagsCardinality(TagsCardinality.LOW)
            // Nothing is dropped where the client is slower than the app.
            .blocking(true)
            .errorHandler(App::fail)
            .build();
        // All of it in one bucket of ten seconds.
        long into = System.currentTimeMillis() % 10000;
        if (into > 4000) {
            Thread.sleep(10050 - into);
        }
        work(client, then);
        client.close();
        System.exit(EXIT_CODE);
    }

    private static void fail(Exception error) {
        error.printStackTrace();
        Runtime.getRuntime().halt(1);
    }

    private static void work(StatsDClient client, long then) {
        for (int number = 0; number < 300; number++) {
            client.increment("orders", "kind:book", "place:Zoë’s", "url:http://shop/a");
            client.recordSetValue("users", "id:" + number % 8);
        }
        client.count("orders", 5, "kind:toy");
        client.count("stock", -3);
        for (int number = 0; number <= 40; number++) {
            client.gauge("queue", number);
        }
        for (int number = 1; number <= 100; number++) {
            client.histogram("took", number);
            client.time("load", number);
        }
        for (int number = 0; number <= 300; number++) {
            client.distribution("size", number);
        }
        for (int number = 0; number < 400; number++) {
            client.count("sampled", 1, 0.5);
            client.distribution("sampled.size", 2, 0.5);
            client.gauge("many." + number, number + 0.5, "n:" + number);
        }
        client.gaugeWithTimestamp("then", 7.25, then, "k:v");
        client.countWithTimestamp("late", 20, then);
        client.recordEvent(
            Event.builder()
                .withTitle("déployed")
                .withText("line 1\nlïne 2 | pipe")
                .withDate(then * 1000)
                .withHostname("box")
                .withAggregationKey("key")
                .withPriority(Event.Priority.LOW)
                .withSourceTypeName("shop")
                .withAlertType(Event.AlertType.WARNING)
                .build(),
            "k:v");
        client.serviceCheck(
            ServiceCheck.builder()
                .withName("db.up")
                .withStatus(ServiceCheck.Status.CRITICAL)
                .withTimestamp((int) then)
                .withHostname("box")
                .withMessage("m: dówn")
                .withTags(new String[] {"k:v"})
                .build());
    }
}
