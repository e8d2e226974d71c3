package main

var nodeGuards = []guard{}
