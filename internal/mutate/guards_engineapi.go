package main

var engineapiGuards = []guard{}
