// An HTTP app with the real Go tracer, as an app would have it: a page, one with a span of its own that asks another page, and one that fails.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	httptrace "github.com/DataDog/dd-trace-go/contrib/net/http/v2"
	"github.com/DataDog/dd-trace-go/v2/ddtrace/tracer"
)

// The exit code of the app, which is nobody else's.
const exitCode = 7

func main() {
	if err := tracer.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	address := os.Getenv("HOST") + ":" + os.Getenv("PORT")
	client := httptrace.WrapClient(&http.Client{Timeout: 5 * time.Second})
	pages := httptrace.NewServeMux()
	pages.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	pages.HandleFunc("GET /stock/{number}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "3 left") })
	pages.HandleFunc("GET /orders/{number}", func(w http.ResponseWriter, r *http.Request) {
		span, ctx := tracer.StartSpanFromContext(r.Context(), "order.load", tracer.ResourceName("order "+r.PathValue("number")))
		err := askForStock(ctx, client, "http://"+address+"/stock/7")
		span.SetTag("order.number", 7)
		span.SetTag("order.gift", true)
		span.Finish(tracer.WithError(err))
		fmt.Fprintln(w, "order", r.PathValue("number"))
	})
	pages.HandleFunc("GET /fail", func(w http.ResponseWriter, r *http.Request) {
		span, _ := tracer.StartSpanFromContext(r.Context(), "order.check")
		span.Finish(tracer.WithError(errors.New("the warehouse is closed")))
		http.Error(w, "the warehouse is closed", http.StatusInternalServerError)
	})
	server := &http.Server{Addr: address, Handler: pages}
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		if err := server.ListenAndServe(); err != http.ErrServerClosed {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}()
	<-ended.Done()
	_ = server.Shutdown(context.Background())
	// What is sent while it stops does not say that the tracer has counted it, and is counted twice.
	tracer.Flush()
	tracer.Stop()
	os.Exit(exitCode)
}

func askForStock(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
