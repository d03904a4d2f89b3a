package main

func registryKinds() []kind { return nil }
