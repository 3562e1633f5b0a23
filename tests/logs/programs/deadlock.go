// Waits for itself. (A program with a network in it is never known to be deadlocked.)
package main

import (
	"fmt"
	"os"
	"sync"
)

func main() {
	fmt.Fprintln(os.Stderr, "ready")
	var lock sync.Mutex
	lock.Lock()
	lock.Lock()
}
