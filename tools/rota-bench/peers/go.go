// SPDX-License-Identifier: MIT

// The benches of rota-bench as goroutines: `PEER BENCH THREADS TASKS` prints lines "KEY NUMBER".
// Knows nothing of rota.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
)

const (
	fanOut = 10
	batch  = 512
)

func printFigure(key string, elapsed time.Duration, ops uint64) {
	fmt.Printf("%s %.6f\n", key, float64(elapsed.Nanoseconds())/float64(ops))
}

func workAwait(ops uint64) {
	done := make(chan int)
	for i := uint64(0); i < ops; i++ {
		go func() { done <- 0 }()
		<-done
	}
}

func workBatch(ops uint64) {
	var group sync.WaitGroup
	for i := uint64(0); i < ops; i += batch {
		for k := i; k < i+batch && k < ops; k++ {
			group.Add(1)
			go group.Done()
		}
		group.Wait()
	}
}

// lanes runs the same work in as many goroutines at once.
func lanes(key string, threads int, work func(uint64), ops uint64) {
	var ready, done sync.WaitGroup
	begin := make(chan struct{})
	for i := 0; i < threads; i++ {
		ready.Add(1)
		done.Add(1)
		go func() {
			work(ops/10 + 1)
			ready.Done()
			<-begin
			work(ops)
			done.Done()
		}()
	}
	ready.Wait()
	start := time.Now()
	close(begin)
	done.Wait()
	printFigure(key, time.Since(start), ops*uint64(threads))
}

func benchSpawn(threads int, tasks uint64) {
	lanes("ns_per_op", threads, workAwait, tasks)
	lanes("batch_ns_per_op", threads, workBatch, tasks)
}

func yieldAmong(count, ops uint64) {
	var group sync.WaitGroup
	each := ops/count + 1
	for i := uint64(0); i < count; i++ {
		group.Add(1)
		go func() {
			for k := uint64(0); k < each; k++ {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	group.Wait()
}

// benchSwitch runs on one P: goroutines cannot be bound to the others.
func benchSwitch(tasks uint64) {
	runtime.GOMAXPROCS(1)
	lanes("ns_per_op", 1, func(ops uint64) { yieldAmong(2, ops) }, tasks)
	lanes("many_ns_per_op", 1, func(ops uint64) { yieldAmong(1000, ops) }, tasks)
}

func skynet(number, leaves uint64, up chan<- uint64) {
	if leaves == 1 {
		up <- number
		return
	}
	sums := make(chan uint64, fanOut)
	part := leaves / fanOut
	for i := uint64(0); i < fanOut; i++ {
		go skynet(number+i*part, part, sums)
	}
	sum := uint64(0)
	for i := 0; i < fanOut; i++ {
		sum += <-sums
	}
	up <- sum
}

func benchSkynet(tasks uint64) {
	leaves, nodes := uint64(1), uint64(1)
	for leaves < tasks {
		leaves *= fanOut
		nodes += leaves
	}
	up := make(chan uint64, 1)
	if leaves > fanOut {
		skynet(0, leaves/fanOut, up)
		<-up
	}
	begin := time.Now()
	skynet(0, leaves, up)
	sum := <-up
	printFigure("ns_per_op", time.Since(begin), nodes)
	if sum != leaves*(leaves-1)/2 {
		os.Exit(1)
	}
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: PEER BENCH THREADS TASKS")
		os.Exit(2)
	}
	threads, err1 := strconv.Atoi(os.Args[2])
	tasks, err2 := strconv.ParseUint(os.Args[3], 10, 64)
	if err1 != nil || err2 != nil || threads < 1 || tasks < 1 {
		fmt.Fprintln(os.Stderr, "THREADS and TASKS must be numbers from 1")
		os.Exit(2)
	}
	runtime.GOMAXPROCS(threads)
	switch os.Args[1] {
	case "spawn":
		benchSpawn(threads, tasks)
	case "switch":
		benchSwitch(tasks)
	case "sleep":
		benchSleep(tasks)
	case "wake":
		benchWake(tasks)
	case "skynet":
		benchSkynet(tasks)
	case "idle-tasks":
		benchIdle(tasks)
	case "mutex":
		benchMutex(threads, tasks)
	case "channel":
		benchChannel(threads, tasks)
	case "select":
		benchSelect(threads, tasks)
	case "group":
		benchGroup(threads, tasks)
	case "cancel":
		benchCancel(threads, tasks)
	default:
		os.Exit(2)
	}
}
