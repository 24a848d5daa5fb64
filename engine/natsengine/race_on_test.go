//go:build race

package natsengine_test

// raceDetector tells that memory cannot be measured.
const raceDetector = true
