using System.Security.Cryptography.X509Certificates;
using Org.BouncyCastle.Pkcs;

namespace Discobot.Features.TrustStore;

public sealed class JavaTrustStoreTests : IDisposable
{
    private static readonly X509Certificate2 Authority = TrustTree.NewAuthority();
    private readonly TrustTree _tree = new();

    public void Dispose() => _tree.Dispose();

    [Fact]
    public void It_holds_the_bundles_certificates_marked_as_trusted_and_opens_without_a_password()
    {
        using var other = TrustTree.NewAuthority();
        var store = new Pkcs12StoreBuilder().Build();
        store.Load(new MemoryStream(JavaTrustStore.Encode([Authority, other])), null);
        Assert.Equal([Authority.RawData, other.RawData], store.Aliases.Order(StringComparer.Ordinal).Select(a => store.GetCertificate(a).Certificate.GetEncoded()));
        Assert.All(store.Aliases, alias => Assert.True(store.GetCertificate(alias).HasFriendlyName));
    }

    [Fact]
    public void It_follows_the_bundle_and_is_not_written_again_for_the_same()
    {
        var bundle = _tree.AddBundle("etc/ssl/certs/ca-certificates.crt");
        var store = _tree.PathOf("var/lib/discobot/java-cacerts.p12");
        BundleBlock.Put(bundle, Authority);
        Assert.True(JavaTrustStore.Follow(bundle, store));
        Assert.False(JavaTrustStore.Follow(bundle, store));
        BundleBlock.Remove(bundle);
        File.SetLastWriteTimeUtc(bundle, DateTime.UtcNow.AddSeconds(5));
        Assert.True(JavaTrustStore.Follow(bundle, store));
    }
}
