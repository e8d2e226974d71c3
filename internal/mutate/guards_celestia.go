package main

var celestiaGuards = []guard{}
