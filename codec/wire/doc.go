// Package wire is the client protocol as Protobuf: client.proto, written from the protocol's field table, and the Go code
// that protoc-gen-go and vtprotobuf make of it (scripts/generate.sh). Package codec uses it for what is rare; what is
// frequent it reads and writes by hand and only compares with this package, in tests.
package wire
