package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"golang.org/x/sync/errgroup"
)

// atOnce is how many images are on their way at a time.
const atOnce = 8

// push pushes an image of its own into each repository.
func push(ctx context.Context, registry string, paths []string) error {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = atOnce
	defer transport.CloseIdleConnections()
	pusher, err := remote.NewPusher(remote.WithTransport(transport))
	if err != nil {
		return err
	}
	pushes, ctx := errgroup.WithContext(ctx)
	pushes.SetLimit(atOnce)
	for _, path := range paths {
		pushes.Go(func() error {
			if err := pushImage(ctx, pusher, registry+"/"+path+":latest"); err != nil {
				return fmt.Errorf("push %s: %w", path, err)
			}
			return nil
		})
	}
	return pushes.Wait()
}

func pushImage(ctx context.Context, pusher *remote.Pusher, reference string) error {
	tag, err := name.NewTag(reference, name.Insecure)
	if err != nil {
		return err
	}
	const layers, size = 1, 512 // bytes
	image, err := random.Image(size, layers)
	if err != nil {
		return err
	}
	return pusher.Push(ctx, tag, image)
}

// pull pulls the image of each repository, whole.
func pull(ctx context.Context, registry string, paths []string) error {
	pulls, ctx := errgroup.WithContext(ctx)
	pulls.SetLimit(atOnce)
	for _, path := range paths {
		pulls.Go(func() error {
			if err := pullImage(ctx, registry+"/"+path+":latest"); err != nil {
				return fmt.Errorf("pull %s: %w", path, err)
			}
			return nil
		})
	}
	return pulls.Wait()
}

func pullImage(ctx context.Context, reference string) error {
	tag, err := name.NewTag(reference, name.Insecure)
	if err != nil {
		return err
	}
	image, err := remote.Image(tag, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	return validate.Image(image) // reads every layer
}
