package main

var storeGuards = []guard{}
