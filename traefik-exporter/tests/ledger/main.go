// A stand-in for a Scalar DL ledger: gRPC-Go's own server with its health service, and nothing else.
//
//	ledger [-cert FILE -key FILE] ADDRESS...
//
// It writes its addresses to standard error. SIGUSR1 makes it NOT_SERVING, SIGUSR2 SERVING again.
package main

import (
	"flag"
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
	cert := flag.String("cert", "", "its certificate, for TLS")
	key := flag.String("key", "", "the certificate's key")
	flag.Parse()
	var options []grpc.ServerOption
	if *cert != "" {
		tls, err := credentials.NewServerTLSFromFile(*cert, *key)
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
	failed := make(chan error)
	for _, address := range flag.Args() {
		listener, err := net.Listen("tcp", address)
		check(err)
		go func() { failed <- server.Serve(listener) }()
		fmt.Fprintf(os.Stderr, "level=INFO msg=\"Listening on\" address=%s\n", listener.Addr())
	}
	check(<-failed)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
