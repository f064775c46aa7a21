// SPDX-License-Identifier: MIT

// The bench of mutexes, and what the benches of goroutines with different parts share.
package main

import (
	"os"
	"runtime"
	"sync"
	"time"
)

const (
	tasksALoop  = 2
	manyLockers = 16
)

// crew runs all workers at once. Bound: each on a thread of its own, the only way to keep
// goroutines that answer each other apart.
func crew(bound bool, workers ...func()) time.Duration {
	var ready, done sync.WaitGroup
	begin := make(chan struct{})
	for _, work := range workers {
		ready.Add(1)
		done.Add(1)
		go func(work func()) {
			if bound {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
			}
			ready.Done()
			<-begin
			work()
			done.Done()
		}(work)
	}
	ready.Wait()
	start := time.Now()
	close(begin)
	done.Wait()
	return time.Since(start)
}

// counter has its lines for itself.
type counter struct {
	_     [128]byte
	mutex sync.Mutex
	count uint64
	_     [128]byte
}

func (c *counter) add(ops uint64) {
	for i := uint64(0); i < ops; i++ {
		c.mutex.Lock()
		c.count++
		c.mutex.Unlock()
	}
}

func (c *counter) hold(ops uint64) {
	for i := uint64(0); i < ops; i++ {
		c.mutex.Lock()
		c.count++
		runtime.Gosched()
		c.mutex.Unlock()
	}
}

func lockAlone(ops uint64) {
	new(counter).add(ops)
}

func compete(work func(*counter, uint64), count int, ops uint64) (time.Duration, uint64) {
	shared := new(counter)
	each := ops/uint64(count) + 1
	workers := make([]func(), count)
	for i := range workers {
		workers[i] = func() { work(shared, each) }
	}
	elapsed := crew(false, workers...)
	if shared.count != each*uint64(count) {
		os.Exit(1)
	}
	return elapsed, shared.count
}

func measureLock(key string, work func(*counter, uint64), count int, ops uint64) {
	compete(work, count, ops/10)
	elapsed, pairs := compete(work, count, ops)
	printFigure(key, elapsed, pairs)
}

func benchMutex(threads int, tasks uint64) {
	few := tasksALoop * threads
	lanes("ns_per_op", threads, lockAlone, tasks)
	measureLock("contended_ns_per_op", (*counter).add, few, tasks)
	measureLock("many_ns_per_op", (*counter).add, manyLockers, tasks)
	measureLock("held_ns_per_op", (*counter).hold, few, tasks/4)
}
