package main

var deriveGuards = []guard{}
