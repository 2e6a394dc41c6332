namespace Discobot.Features.Cache.Warming;

public sealed class ImageReferenceTests
{
    private const string Digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    [Theory]
    [InlineData("alpine", "https", "registry-1.docker.io", "library/alpine", "latest")]
    [InlineData("alpine:3.20", "https", "registry-1.docker.io", "library/alpine", "3.20")]
    [InlineData("docker.io/alpine", "https", "registry-1.docker.io", "library/alpine", "latest")]
    [InlineData("index.docker.io/library/alpine", "https", "registry-1.docker.io", "library/alpine", "latest")]
    [InlineData("team/app:v1", "https", "registry-1.docker.io", "team/app", "v1")]
    [InlineData("ghcr.io/team/app", "https", "ghcr.io", "team/app", "latest")]
    [InlineData("registry.test:5000/app:v1", "https", "registry.test:5000", "app", "v1")]
    [InlineData("registry:5000/app", "https", "registry:5000", "app", "latest")]
    [InlineData("localhost/app", "http", "localhost", "app", "latest")]
    [InlineData("localhost:5000/a/b/c:x", "http", "localhost:5000", "a/b/c", "x")]
    [InlineData("127.0.0.1:5000/app", "http", "127.0.0.1:5000", "app", "latest")]
    [InlineData("[::1]:5000/app", "http", "[::1]:5000", "app", "latest")]
    [InlineData("alpine@" + Digest, "https", "registry-1.docker.io", "library/alpine", Digest)]
    [InlineData("ghcr.io/a/b:v1@" + Digest, "https", "ghcr.io", "a/b", Digest)]
    [InlineData("a__b/c-d.e_f", "https", "registry-1.docker.io", "a__b/c-d.e_f", "latest")]
    public void Names_mean_what_they_mean_to_docker(string text, string scheme, string host, string repository, string reference)
    {
        Assert.True(ImageReference.TryParse(text, out var image));
        Assert.Equal((scheme, host, repository, reference), (image.Scheme, image.Host, image.Repository, image.Reference));
    }

    [Theory]
    [InlineData("")]
    [InlineData("Alpine")]
    [InlineData("alpine:")]
    [InlineData("alpine@sha256:12")]
    [InlineData("alpine@md5:0123")]
    [InlineData("a//b")]
    [InlineData("/a")]
    [InlineData("a/")]
    [InlineData("a b")]
    [InlineData("-a")]
    [InlineData("https://ghcr.io/a")]
    [InlineData("ghcr.io/a:b:c")]
    [InlineData("user@host/a")]
    [InlineData("a\n")]
    public void What_docker_refuses_is_none(string text) => Assert.False(ImageReference.TryParse(text, out _));
}
