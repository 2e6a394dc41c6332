namespace Discobot.Features.Cache.Policy;

public class ContentDigestTests
{
    private const string Hex = "0f3e4a1c9b5d7e2f8a6c4b0d1e3f5a7c9b8d6e4f2a0c1b3d5e7f9a8c6b4d2e0f";

    [Theory]
    [InlineData($"/v2/library/ubuntu/blobs/sha256:{Hex}", false)]
    [InlineData($"/v2/library/ubuntu/manifests/sha256:{Hex}", true)]
    [InlineData($"/ghcr1/blobs/sha256:{Hex}", false)]
    [InlineData($"/registry-v2/docker/registry/v2/blobs/sha256/0f/{Hex}/data", false)]
    [InlineData($"/sha256/0f/{Hex}", false)]
    public void The_address_of_a_body_is_recognised_in_every_form_registries_use(string path, bool manifest)
    {
        var digest = ContentDigest.Find(path);
        Assert.NotNull(digest);
        Assert.Equal(Hex, digest.Value.Hash.ToString());
        Assert.True(digest.Value.IsAddress);
        Assert.Equal(manifest ? BodyKind.Manifest : BodyKind.Blob, digest.Value.Kind);
    }

    [Theory]
    [InlineData($"/v2/library/ubuntu/referrers/sha256:{Hex}")]
    [InlineData($"/repos/a/b/attestations/sha256:{Hex}")]
    [InlineData($"/v2/a/blobs/sha256:{Hex}/extra")]
    public void A_path_that_merely_mentions_a_digest_is_not_its_address(string path) =>
        Assert.False(Assert.NotNull(ContentDigest.Find(path)).IsAddress);

    [Theory]
    [InlineData("/v2/library/ubuntu/manifests/latest")]
    [InlineData("/v2/library/ubuntu/blobs/sha256:abc123")]
    [InlineData($"/v2/library/ubuntu/blobs/sha256:{Hex}0")]
    [InlineData($"/v2/library/ubuntu/blobs/sha256:g{Hex}")]
    [InlineData($"/sha256/ff/{Hex}")]
    [InlineData($"/sha256/0f/{Hex}0")]
    [InlineData("/")]
    [InlineData("")]
    public void Anything_else_names_no_digest(string path) => Assert.Null(ContentDigest.Find(path));
}
