namespace Discobot.Infrastructure.Native.Files;

public sealed class RealPathTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("real-").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Theory]
    [InlineData("etc/ssl/cert.pem", "etc/pki/extracted/bundle.pem")]
    [InlineData("etc/ssl/certs/ca.crt", "etc/pki/extracted/bundle.pem")]
    [InlineData("etc/ssl/absolute", "etc/pki/tls/certs")]
    [InlineData("etc/ssl/missing/file", "etc/ssl/missing/file")]
    [InlineData("/etc/./ssl/../pki", "etc/pki")]
    public void Links_are_followed_from_where_they_really_stand(string path, string real)
    {
        Directory.CreateDirectory(Path.Combine(_root, "etc/pki/tls/certs"));
        Directory.CreateDirectory(Path.Combine(_root, "etc/ssl"));
        Link("etc/pki/tls/certs/ca.crt", "../../extracted/bundle.pem");
        Link("etc/ssl/certs", "../pki/tls/certs");
        Link("etc/ssl/cert.pem", "certs/ca.crt");
        Link("etc/ssl/absolute", "/etc/ssl/certs");
        Assert.Equal(Path.Combine(_root, real), RealPath.Below(_root, path));
    }

    [Fact]
    public void Nothing_leads_out_of_the_root()
    {
        Link("out", "../../../../etc");
        Assert.Equal(Path.Combine(_root, "etc/passwd"), RealPath.Below(_root, "out/passwd"));
    }

    [Fact]
    public void A_circle_is_an_error()
    {
        Link("a", "b");
        Link("b", "a");
        Assert.Throws<IOException>(() => RealPath.Below(_root, "a"));
    }

    private void Link(string path, string target) => File.CreateSymbolicLink(Path.Combine(_root, path), target);
}
