package main

func redisKinds() []kind { return nil }
