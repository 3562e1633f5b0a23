// Prints stack traces the way Go programs do; the argument says which.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/debug"
	"syscall"
	"time"
)

type request struct{ id int }

func load(key string) {
	panic(fmt.Errorf("can't load %s: %w", key, errors.New("no route\nto db")))
}

func handle(r *request) int { return r.id }

func main() {
	fmt.Fprintln(os.Stderr, "ready")
	switch os.Args[1] {
	case "panic":
		load("a")
	case "again":
		defer func() {
			if err := recover(); err != nil {
				panic(fmt.Sprint("again: ", err))
			}
		}()
		load("b")
	case "nil":
		handle(nil)
	case "goroutines":
		for i := 0; i < 3; i++ {
			go func() { time.Sleep(time.Hour) }()
		}
		time.Sleep(10 * time.Millisecond)
		load("c")
	case "quit":
		go func() { time.Sleep(time.Hour) }()
		time.Sleep(10 * time.Millisecond)
		syscall.Kill(syscall.Getpid(), syscall.SIGQUIT)
		time.Sleep(time.Second)
	case "http":
		log.Println("listening")
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { load("d") }))
		http.Get(server.URL)
		log.Println("served")
	case "printed":
		debug.PrintStack()
	case "pretty":
		text, _ := json.MarshalIndent(map[string]any{"event": "done", "items": []int{1, 2}}, "", "\t")
		fmt.Fprintln(os.Stderr, string(text))
	}
	fmt.Fprintln(os.Stderr, "done")
}
