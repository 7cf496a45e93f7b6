// A stand-in for a Scalar DL ledger: gRPC-Go's own server with its health service, and nothing else.
//
//	ledger 127.0.0.1:0 [cert.pem key.pem]
//
// It writes its address to standard error. SIGUSR1 makes it NOT_SERVING, SIGUSR2 SERVING again.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	check(err)
	var options []grpc.ServerOption
	if len(os.Args) > 3 {
		tls, err := credentials.NewServerTLSFromFile(os.Args[2], os.Args[3])
		check(err)
		options = append(options, grpc.Creds(tls))
	}
	server := grpc.NewServer(options...)
	status := health.NewServer()
	status.SetServingStatus("rpc.Ledger", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, status)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		for signal := range signals {
			if signal == syscall.SIGUSR1 {
				status.Shutdown()
			} else {
				status.Resume()
			}
		}
	}()
	fmt.Fprintf(os.Stderr, "level=INFO msg=\"Listening on\" address=%s\n", listener.Addr())
	check(server.Serve(listener))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
