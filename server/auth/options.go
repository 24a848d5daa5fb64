package auth

import (
	"errors"
	"fmt"
)

// SubscribeOptions is what a connection token says about one of its server-side subscriptions.
type SubscribeOptions struct {
	Info     []byte
	Data     []byte
	Override Override
}

// Override replaces options of the namespace for one subscription.
type Override struct {
	Presence           Switch
	JoinLeave          Switch
	ForcePushJoinLeave Switch
	ForceRecovery      Switch
	ForcePositioning   Switch
}

// Switch is a boolean that may be absent.
type Switch uint8

// Positions of a switch.
const (
	Unset Switch = iota
	Off
	On
)

// UnmarshalJSON reads {"value":true}; null leaves the switch as it is.
func (s *Switch) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	v, ok := readSwitch(b)
	if !ok {
		return errors.New(`a switch must be an object with a boolean "value"`)
	}
	*s = v
	return nil
}

// Or returns the position, or value if there is none.
func (s Switch) Or(value bool) bool {
	if s == Unset {
		return value
	}
	return s == On
}

// optionClaims are the claims that the options of a server-side subscription have, too.
const optionClaims fields = 1<<claimInfo | 1<<claimB64Info | 1<<claimData | 1<<claimB64Data | 1<<claimOverride

// readChannels reads the claim channels; nil without one.
func readChannels(b []byte) ([]string, error) {
	if len(b) == 0 {
		return nil, nil
	}
	list, ok := texts(b)
	if !ok {
		return nil, invalid("the claim channels is not a list of strings")
	}
	return list, nil
}

// readSubs reads the claim subs; nil without one. As everywhere in a token, names are compared exactly, those that are not
// known are passed over, one that is there twice is refused, and null is nothing.
func readSubs(b []byte) (map[string]SubscribeOptions, error) {
	if len(b) == 0 {
		return nil, nil
	}
	if b[0] != '{' {
		return nil, invalid("the claim subs is not an object of channels with their options")
	}
	subs := map[string]SubscribeOptions{}
	for o := members(b); ; {
		name, value, ok := o.next()
		if !ok {
			return subs, nil
		}
		channel := string(name)
		if _, ok := subs[channel]; ok {
			return nil, invalid(fmt.Sprintf("the claim subs has the channel %q twice", clip(channel)))
		}
		options, err := readOptions(value)
		if err != nil {
			return nil, err
		}
		subs[channel] = options
	}
}

// readOptions reads the options of one channel in subs.
func readOptions(b []byte) (r SubscribeOptions, err error) {
	if string(b) == "null" {
		return r, nil
	}
	if b[0] != '{' {
		return r, invalid("the claim subs has a channel whose options are not an object")
	}
	var c claims
	var seen fields
	for o := members(b); ; {
		name, value, ok := o.next()
		if !ok {
			break
		}
		number, known := claimNumbers[string(name)]
		if !known || !optionClaims.has(number) {
			continue
		}
		if !seen.first(number) {
			return r, invalid(fmt.Sprintf("the claim subs has a channel with %s twice", name))
		}
		if string(value) == "null" {
			continue
		}
		if err := c.set(number, value); err != nil {
			return r, invalid(fmt.Sprintf("the claim subs has a channel whose %s %v", name, err))
		}
	}
	if r.Info, err = raw("info", c.info, c.b64info); err != nil {
		return r, err
	}
	if r.Data, err = raw("data", c.data, c.b64data); err != nil {
		return r, err
	}
	r.Override, err = readOverride(c.override)
	return r, err
}

var errOverride = invalid(`the claim override is not an object of options, each once, with {"value":true} or {"value":false}`)

// readOverride reads the claim override; all unset without one.
func readOverride(b []byte) (r Override, err error) {
	if len(b) == 0 {
		return r, nil
	}
	if b[0] != '{' {
		return r, errOverride
	}
	var seen fields
	for o := members(b); ; {
		name, value, ok := o.next()
		if !ok {
			return r, nil
		}
		s, number := r.find(string(name))
		if s == nil {
			continue
		}
		if !seen.first(number) {
			return Override{}, errOverride
		}
		if *s, ok = readSwitch(value); !ok {
			return Override{}, errOverride
		}
	}
}

// find returns the switch of that name and its number; nil for other names.
func (o *Override) find(name string) (*Switch, int) {
	switch name {
	case "presence":
		return &o.Presence, 0
	case "join_leave":
		return &o.JoinLeave, 1
	case "force_push_join_leave":
		return &o.ForcePushJoinLeave, 2
	case "force_recovery":
		return &o.ForceRecovery, 3
	case "force_positioning":
		return &o.ForcePositioning, 4
	}
	return nil, 0
}

// readSwitch reads {"value":true}. An object without a value is off, as in the reference.
func readSwitch(b []byte) (s Switch, ok bool) {
	if string(b) == "null" {
		return Unset, true
	}
	if b[0] != '{' {
		return Unset, false
	}
	var seen fields
	s = Off
	for o := members(b); ; {
		name, value, ok := o.next()
		if !ok {
			return s, true
		}
		if string(name) != "value" {
			continue
		}
		if !seen.first(0) {
			return Unset, false
		}
		switch string(value) {
		case "true":
			s = On
		case "false", "null":
		default:
			return Unset, false
		}
	}
}
