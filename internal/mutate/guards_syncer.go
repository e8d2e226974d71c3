package main

var syncerGuards = []guard{}
