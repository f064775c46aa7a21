// SPDX-License-Identifier: MIT

// The benches in which goroutines wait: for the time, or for another thread.
package main

import (
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	sleepRounds     = 20
	sparseTasksMax  = 1000
	wakeIdle        = 2 * time.Millisecond
	parkedRoundsMax = 400
)

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// sleepAll returns the processor time a sleep and how late each was.
func sleepAll(tasks uint64, longest time.Duration) (float64, []time.Duration) {
	late := make([]time.Duration, tasks*sleepRounds)
	first := time.Now().Add(20*time.Millisecond + time.Duration(tasks)*3*time.Microsecond)
	var group sync.WaitGroup
	for i := uint64(0); i < tasks; i++ {
		group.Add(1)
		go func(mine []time.Duration, seed int64) {
			random := rand.New(rand.NewSource(seed))
			time.Sleep(time.Until(first))
			for k := range mine {
				duration := time.Duration(random.Int63n(int64(longest)))
				begin := time.Now()
				time.Sleep(duration)
				mine[k] = time.Since(begin) - duration
			}
			group.Done()
		}(late[i*sleepRounds:(i+1)*sleepRounds], int64(i))
	}
	time.Sleep(time.Until(first) - time.Millisecond)
	cpu := cpuTime()
	group.Wait()
	cpu = cpuTime() - cpu
	sort.Slice(late, func(a, b int) bool { return late[a] < late[b] })
	return float64(cpu.Nanoseconds()) / float64(tasks*(sleepRounds+1)), late
}

func benchSleep(tasks uint64) {
	dense, _ := sleepAll(tasks, time.Millisecond)
	if tasks > sparseTasksMax {
		tasks = sparseTasksMax
	}
	sparse, late := sleepAll(tasks, 50*time.Millisecond)
	fmt.Printf("ns_per_op %f\nsparse_cpu_ns_per_op %f\n", dense, sparse)
	fmt.Printf("late_p50_ns %d\n", late[len(late)/2])
	fmt.Printf("late_p99_ns %d\n", late[len(late)-1-len(late)/100])
	fmt.Printf("late_max_ns %d\n", late[len(late)-1])
}

// wakeRounds gives the median round trip. Both sides keep their threads: unbound goroutines that
// answer each other share one.
func wakeRounds(rounds uint64, pause time.Duration) time.Duration {
	ping, pong := make(chan int), make(chan int)
	go func() {
		runtime.LockOSThread()
		for range ping {
			pong <- 0
		}
	}()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	trips := make([]time.Duration, rounds)
	for i := range trips {
		if pause > 0 {
			time.Sleep(pause)
		}
		begin := time.Now()
		ping <- 0
		<-pong
		trips[i] = time.Since(begin)
	}
	close(ping)
	sort.Slice(trips, func(a, b int) bool { return trips[a] < trips[b] })
	return trips[len(trips)/2]
}

func benchWake(tasks uint64) {
	parked := tasks/50 + 1
	if parked > parkedRoundsMax {
		parked = parkedRoundsMax
	}
	printFigure("ns_per_op", wakeRounds(tasks, 0), 2)
	trip := wakeRounds(parked, wakeIdle)
	printFigure("parked_ns_per_op", trip, 2)
	printFigure("parked_round_trip_ns", trip, 1)
}

// memoryUsed counts page tables too, as rota's own bench does.
func memoryUsed() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	sum := 0.0
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 || (fields[0] != "VmRSS:" && fields[0] != "VmPTE:") {
			continue
		}
		kib, err := strconv.ParseFloat(fields[1], 64)
		if err == nil {
			sum += kib * 1024
		}
	}
	return sum
}

func benchIdle(tasks uint64) {
	var asleep uint64
	memory := memoryUsed()
	begin := time.Now()
	for i := uint64(0); i < tasks; i++ {
		go func() {
			atomic.AddUint64(&asleep, 1)
			time.Sleep(time.Hour)
		}()
	}
	for atomic.LoadUint64(&asleep) < tasks {
		time.Sleep(time.Millisecond)
	}
	elapsed := time.Since(begin)
	time.Sleep(time.Millisecond)
	printFigure("ns_per_op", elapsed, tasks)
	fmt.Printf("seconds %f\n", elapsed.Seconds())
	fmt.Printf("bytes_per_task %f\n", (memoryUsed()-memory)/float64(tasks))
}
