package server

// Ended waits until the servers that were given up while they started have ended.
func Ended() { ending.Wait() }
