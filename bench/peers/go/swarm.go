package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	pollEvery = 50 * time.Millisecond
	patience  = 30 * time.Second
	restTime  = 5 * time.Second
)

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// seeing counts the nodes but `without` that see so many members.
func seeing(nodes []*memberlist.Memberlist, without, members int) (count int) {
	for i, node := range nodes {
		if i != without && node.NumMembers() == members {
			count++
		}
	}
	return count
}

// waitFor polls until `count` nodes see so many members, or patience ends: seconds since start.
func waitFor(nodes []*memberlist.Memberlist, without, members, count int, start time.Time) float64 {
	for seeing(nodes, without, members) < count && time.Since(start) < patience {
		time.Sleep(pollEvery)
	}
	return time.Since(start).Seconds()
}

// runSwarm lets so many nodes with LAN timing join the first of them, and kills one.
func runSwarm(text string) any {
	count, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	nodes := make([]*memberlist.Memberlist, count)
	for i := range nodes {
		config := memberlist.DefaultLANConfig()
		config.Name = fmt.Sprintf("node-%03d", i)
		config.BindAddr = "127.0.0.1"
		config.BindPort = 0
		config.AdvertiseAddr = "127.0.0.1"
		config.AdvertisePort = 0
		config.Logger = log.New(io.Discard, "", 0)
		if nodes[i], err = memberlist.Create(config); err != nil {
			log.Fatal(err)
		}
	}
	first := []string{nodes[0].LocalNode().Address()}
	start, cpu := time.Now(), cpuSeconds()
	for _, node := range nodes[1:] {
		if _, err := node.Join(first); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	result := map[string]float64{"joined": waitFor(nodes, -1, count, count, start)}
	result["joined_cpu"] = cpuSeconds() - cpu
	cpu = cpuSeconds()
	time.Sleep(restTime)
	result["rest_cpu"] = (cpuSeconds() - cpu) / restTime.Seconds()
	dead := count / 2
	start, cpu = time.Now(), cpuSeconds()
	if err := nodes[dead].Shutdown(); err != nil {
		log.Fatal(err)
	}
	result["first"] = waitFor(nodes, dead, count-1, 1, start)
	result["all"] = waitFor(nodes, dead, count-1, count-1, start)
	result["death_cpu"] = cpuSeconds() - cpu
	return result
}
