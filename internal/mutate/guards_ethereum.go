package main

var ethereumGuards = []guard{}
