# docker build --build-arg VERSION="$(git describe --tags --always)" -t regmend .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /regmend .

# Certificates, time zones and the user nonroot; neither shell nor packages.
FROM gcr.io/distroless/static-debian12:nonroot
# One static program for health checks from inside the container.
COPY --from=busybox:1.37-musl /bin/wget /usr/bin/wget
COPY --from=build /regmend /usr/bin/regmend
USER nonroot
ENTRYPOINT ["regmend"]
CMD ["--help"]
