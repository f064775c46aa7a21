// SPDX-License-Identifier: MIT

// The benches of groups of goroutines, and of contexts that are cancelled.
package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	fewMembers    = 10
	manyMembers   = 1000
	cancelMembers = 100
)

func runGroups(members, ops uint64) {
	for i := uint64(0); i < ops; i += members {
		var group sync.WaitGroup
		for k := i; k < i+members && k < ops; k++ {
			group.Add(1)
			go group.Done()
		}
		group.Wait()
	}
}

func benchGroup(threads int, tasks uint64) {
	few := func(ops uint64) { runGroups(fewMembers, ops) }
	many := func(ops uint64) { runGroups(manyMembers, ops) }
	lanes("ns_per_op", threads, few, tasks)
	lanes("many_ns_per_op", threads, many, tasks)
	if threads > 1 {
		lanes("owner_ns_per_op", 1, few, tasks)
		lanes("owner_many_ns_per_op", 1, many, tasks)
	}
}

func openScopes(ops uint64) {
	for i := uint64(0); i < ops; i++ {
		_, cancel := context.WithTimeout(context.Background(), deadline)
		cancel()
	}
}

func openPlainScopes(ops uint64) {
	for i := uint64(0); i < ops; i++ {
		_, cancel := context.WithCancel(context.Background())
		cancel()
	}
}

// sleepUnless sleeps, and can be cancelled.
func sleepUnless(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	select {
	case <-ctx.Done():
		timer.Stop()
	case <-timer.C:
	}
}

func waitUntilDone(ctx context.Context) {
	<-ctx.Done()
}

// cancelRounds returns the time from the cancels to the ends of all members, and the whole time.
func cancelRounds(member func(context.Context), rounds uint64) (cancels, lives time.Duration) {
	for i := uint64(0); i < rounds; i++ {
		var group sync.WaitGroup
		var waiting uint32
		allWait := make(chan struct{})
		opened := time.Now()
		ctx, cancel := context.WithCancel(context.Background())
		for k := 0; k < cancelMembers; k++ {
			group.Add(1)
			go func() {
				if atomic.AddUint32(&waiting, 1) == cancelMembers {
					close(allWait)
				}
				member(ctx)
				group.Done()
			}()
		}
		<-allWait
		cancelled := time.Now()
		cancel()
		group.Wait()
		closed := time.Now()
		cancels += closed.Sub(cancelled)
		lives += closed.Sub(opened)
	}
	return cancels, lives
}

func measureCancel(name string, member func(context.Context), tasks uint64) {
	rounds := tasks/cancelMembers + 1
	cancelRounds(member, rounds/10+1)
	cancels, lives := cancelRounds(member, rounds)
	printFigure(name+"_ns_per_op", cancels, rounds*cancelMembers)
	printFigure(name+"_life_ns_per_op", lives, rounds*cancelMembers)
}

func benchCancel(threads int, tasks uint64) {
	lanes("ns_per_op", threads, openScopes, tasks)
	lanes("plain_ns_per_op", threads, openPlainScopes, tasks)
	measureCancel("sleeping", sleepUnless, tasks)
	measureCancel("waiting", waitUntilDone, tasks)
	if threads > 1 {
		measureCancel("spread_sleeping", sleepUnless, tasks)
		measureCancel("spread_waiting", waitUntilDone, tasks)
	}
}
