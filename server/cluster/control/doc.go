// Package control is the messages that nodes send each other as Protobuf: control.proto, written from the field table of the
// reference, and the Go code that protoc-gen-go and vtprotobuf make of it (scripts/generate.sh).
package control
