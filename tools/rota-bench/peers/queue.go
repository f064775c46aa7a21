// SPDX-License-Identifier: MIT

// The benches of channels and select. Goroutines start and run where the scheduler likes; only
// those "across" are bound to threads.
package main

import (
	"os"
	"time"
)

const (
	streamRoom   = 128
	manyRoom     = 64
	manyEnds     = 4
	acrossFactor = 50
	selectRoom   = 128
	deadline     = 60 * time.Second
)

func checkSum(sum, senders, ops uint64) {
	if sum != senders*(ops*(ops-1)/2) {
		os.Exit(1)
	}
}

func sendItems(out chan<- uint64, ops uint64) {
	for i := uint64(0); i < ops; i++ {
		out <- i
	}
}

func receiveItems(in <-chan uint64, ops uint64, sum *uint64) {
	for i := uint64(0); i < ops; i++ {
		*sum += <-in
	}
}

func runPair(bound bool, ops uint64) (time.Duration, uint64) {
	there, back := make(chan uint64), make(chan uint64)
	sum := uint64(0)
	ping := func() {
		for i := uint64(0); i < ops; i++ {
			there <- i
			sum += <-back
		}
	}
	pong := func() {
		for i := uint64(0); i < ops; i++ {
			back <- <-there
		}
	}
	elapsed := crew(bound, ping, pong)
	checkSum(sum, 1, ops)
	return elapsed, ops
}

func runStream(bound bool, senders uint64, room int, ops uint64) (time.Duration, uint64) {
	items := make(chan uint64, room)
	each := ops/senders + 1
	sums := make([]struct {
		sum uint64
		_   [128]byte
	}, senders)
	var workers []func()
	for i := uint64(0); i < senders; i++ {
		workers = append(workers, func() { sendItems(items, each) })
	}
	for i := range sums {
		sum := &sums[i].sum
		workers = append(workers, func() { receiveItems(items, each, sum) })
	}
	elapsed := crew(bound, workers...)
	total := uint64(0)
	for i := range sums {
		total += sums[i].sum
	}
	checkSum(total, senders, each)
	return elapsed, each * senders
}

func benchChannel(threads int, tasks uint64) {
	measure := func(key string, run func(uint64) (time.Duration, uint64), divide uint64) {
		ops := tasks/divide + 1
		run(ops/10 + 1)
		elapsed, done := run(ops)
		printFigure(key, elapsed, done)
	}
	pair := func(ops uint64) (time.Duration, uint64) { return runPair(false, ops) }
	pairAcross := func(ops uint64) (time.Duration, uint64) { return runPair(true, ops) }
	stream := func(ops uint64) (time.Duration, uint64) {
		return runStream(false, 1, streamRoom, ops)
	}
	streamAcross := func(ops uint64) (time.Duration, uint64) {
		return runStream(true, 1, streamRoom, ops)
	}
	many := func(ops uint64) (time.Duration, uint64) {
		return runStream(false, manyEnds, manyRoom, ops)
	}
	measure("ns_per_op", pair, 1)
	measure("stream_ns_per_op", stream, 1)
	measure("many_ns_per_op", many, 1)
	if threads < 2 {
		return
	}
	measure("across_ns_per_op", pairAcross, acrossFactor)
	measure("across_stream_ns_per_op", streamAcross, 2)
	measure("free_ns_per_op", pair, 2)
	measure("free_stream_ns_per_op", stream, 1)
	measure("free_many_ns_per_op", many, 1)
}

func makeFeed(count, room int) []chan uint64 {
	feed := make([]chan uint64, count)
	for i := range feed {
		feed[i] = make(chan uint64, room)
	}
	return feed
}

func feedInTurn(feed []chan uint64, ops uint64) {
	for i := uint64(0); i < ops; i++ {
		feed[i%uint64(len(feed))] <- i
	}
}

func selectTwo(feed []chan uint64, ops uint64) (sum uint64) {
	first, second := feed[0], feed[1]
	for i := uint64(0); i < ops; i++ {
		select {
		case item := <-first:
			sum += item
		case item := <-second:
			sum += item
		}
	}
	return sum
}

func selectEight(feed []chan uint64, ops uint64) (sum uint64) {
	c0, c1, c2, c3 := feed[0], feed[1], feed[2], feed[3]
	c4, c5, c6, c7 := feed[4], feed[5], feed[6], feed[7]
	for i := uint64(0); i < ops; i++ {
		select {
		case item := <-c0:
			sum += item
		case item := <-c1:
			sum += item
		case item := <-c2:
			sum += item
		case item := <-c3:
			sum += item
		case item := <-c4:
			sum += item
		case item := <-c5:
			sum += item
		case item := <-c6:
			sum += item
		case item := <-c7:
			sum += item
		}
	}
	return sum
}

// selectDeadline gives each select a deadline of its own, with one timer for all.
func selectDeadline(feed []chan uint64, ops uint64) (sum uint64) {
	first, second := feed[0], feed[1]
	timer := time.NewTimer(deadline)
	timer.Stop()
	for i := uint64(0); i < ops; i++ {
		timer.Reset(deadline)
		select {
		case item := <-first:
			sum += item
		case item := <-second:
			sum += item
		case <-timer.C:
			os.Exit(1)
		}
		if !timer.Stop() {
			os.Exit(1)
		}
	}
	return sum
}

// selectUntil has one deadline for all selects.
func selectUntil(feed []chan uint64, ops uint64) (sum uint64) {
	first, second := feed[0], feed[1]
	timer := time.NewTimer(deadline)
	defer timer.Stop()
	for i := uint64(0); i < ops; i++ {
		select {
		case item := <-first:
			sum += item
		case item := <-second:
			sum += item
		case <-timer.C:
			os.Exit(1)
		}
	}
	return sum
}

func benchSelect(threads int, tasks uint64) {
	shapes := []struct {
		name     string
		channels int
		room     int
		receive  func([]chan uint64, uint64) uint64
	}{
		{"", 2, 0, selectTwo},
		{"eight_", 8, 0, selectEight},
		{"deadline_", 2, 0, selectDeadline},
		{"until_", 2, 0, selectUntil},
		{"buffered_", 2, selectRoom, selectTwo},
	}
	measure := func(where string, bound bool, ops uint64) {
		for _, shape := range shapes {
			run := func(ops uint64) time.Duration {
				feed := makeFeed(shape.channels, shape.room)
				sum := uint64(0)
				elapsed := crew(bound, func() { sum = shape.receive(feed, ops) },
					func() { feedInTurn(feed, ops) })
				checkSum(sum, 1, ops)
				return elapsed
			}
			run(ops/10 + 1)
			printFigure(where+shape.name+"ns_per_op", run(ops), ops)
		}
	}
	measure("", false, tasks)
	if threads < 2 {
		return
	}
	measure("across_", true, tasks/acrossFactor+1)
	measure("free_", false, tasks/2+1)
}
