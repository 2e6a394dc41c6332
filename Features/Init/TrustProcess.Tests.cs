using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Discobot.Infrastructure.Wire;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init;

/// <summary>Images whose trust store takes no certificate, and users with authorities of their own, in the whole init in namespaces.</summary>
public sealed class TrustProcessTests : IDisposable
{
    private const string Bundle = "/etc/ssl/certs/ca-certificates.crt";

    private readonly Enclosure _inside = new();

    public TrustProcessTests() => _inside.Agent("echo bundle=$SSL_CERT_FILE; echo requests=$REQUESTS_CA_BUNDLE; echo node=$NODE_EXTRA_CA_CERTS; echo proxy=$HTTPS_PROXY; "
        + "openssl verify -CAfile \"$SSL_CERT_FILE\" /.data/proxy/certs/ca.crt; cp \"$SSL_CERT_FILE\" /tmp/bundle; cp \"$NODE_EXTRA_CA_CERTS\" /tmp/node; exit 0");

    public void Dispose() => _inside.Dispose();

    [Theory]
    [InlineData("the bundle is mounted", ":", "cp etc/ssl/certs/ca-certificates.crt tmp/b; mount --bind tmp/b etc/ssl/certs/ca-certificates.crt", "/var/lib/discobot/ca-bundle.crt")]
    [InlineData("its directory is read-only", ":", "mount --bind etc/ssl etc/ssl; mount -o remount,bind,ro etc/ssl", "/var/lib/discobot/ca-bundle.crt")]
    [InlineData("there is none", "rm -r $1/etc/ssl/certs", ":", "/var/lib/discobot/ca-bundle.crt")]
    [InlineData("it is where nobody looks", "mkdir $1/etc/pki $1/etc/pki/tls; mv $1/etc/ssl/certs/ca-certificates.crt $1/etc/pki/tls/cert.pem", ":", "/var/lib/discobot/ca-bundle.crt")]
    [InlineData("/etc and /var are read-only", ":", "for d in etc var; do mount --bind $d $d; mount -o remount,bind,ro $d; done", "/run/discobot/ca-bundle.crt")]
    [InlineData("everything but the volume is read-only", "rm -r $1/workspace; ln -s /home/discobot/workspace $1/workspace", "mount --bind home/discobot home/discobot; umount home/discobot; for d in etc var run; do mount --bind $d $d; mount -o remount,bind,ro $d; done", "/.data/proxy/certs/ca-bundle.crt")]
    public async Task Where_the_systems_store_cannot_take_the_authority_clients_are_led_to_a_bundle_of_our_own(string what, string prepare, string before, string bundle)
    {
        _inside.Prepare(prepare);
        _inside.Before = before;
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains($"\nbundle={bundle}\nrequests={bundle}\n", _inside.Said, StringComparison.Ordinal);
        Assert.Contains("\nproxy=http://localhost:17080\n/.data/proxy/certs/ca.crt: OK\n", _inside.Said, StringComparison.Ordinal);
        Assert.Contains($"; clients are pointed at {bundle}\n", _inside.Output, StringComparison.Ordinal);
        var roots = Read("/tmp/bundle");
        Assert.True(what == "there is none" ? roots.Count == 1 : roots.Count > 50, $"{what}: {roots.Count}");
    }

    /// <summary>The agent reads neither, nor does the proxy, whose roots they are.</summary>
    [Theory]
    [InlineData("chmod 600 $1/etc/ssl/certs/ca-certificates.crt")]
    [InlineData("chmod 700 $1/etc/ssl/certs")]
    public async Task A_bundle_that_only_root_may_read_is_none_for_the_clients_and_the_proxy(string prepare)
    {
        const string Ours = "/var/lib/discobot/ca-bundle.crt";
        _inside.Prepare(prepare);
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains($"\nbundle={Ours}\nrequests={Ours}\n", _inside.Said, StringComparison.Ordinal);
        Assert.Contains("/.data/proxy/certs/ca.crt: OK\n", _inside.Said, StringComparison.Ordinal);
        Assert.Contains($"warning: the CA is not trusted (", _inside.Output, StringComparison.Ordinal);
        Assert.Contains($"only root may read {Bundle}; clients are pointed at {Ours}\n", _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("no root certificates found", _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("cannot read root certificates", _inside.Output, StringComparison.Ordinal);
        Assert.True(Read("/tmp/bundle").Count > 50);
    }

    /// <summary>TMPDIR that does not exist, an anchor's directory that cannot be written, a tool that fails, one that never ends: the bundle has
    /// it from the first moment, and still has it when the tool has run.</summary>
    [Theory]
    [InlineData("TMPDIR", "mktemp > /dev/null || exit 3; cat /usr/local/share/base /usr/local/share/ca-certificates/*.crt > /etc/ssl/certs/ca-certificates.crt", ":")]
    [InlineData("nothing", "cat /usr/local/share/base > /etc/ssl/certs/ca-certificates.crt", ":")]
    [InlineData("failure", "exit 9", ":")]
    [InlineData("ours alone", "cat /usr/local/share/ca-certificates/*.crt > /etc/ssl/certs/ca-certificates.crt", ":")]
    [InlineData("anchors", "cat /usr/local/share/base /usr/local/share/ca-certificates/*.crt > /etc/ssl/certs/ca-certificates.crt", "mount --bind local/share/ca-certificates usr/local/share/ca-certificates; mount -o remount,bind,ro usr/local/share/ca-certificates")]
    public async Task The_tool_follows_beside_the_start_and_whatever_it_does_the_authority_stays_trusted(string what, string tool, string before)
    {
        _inside.Prepare("mkdir -p $1/local/share/ca-certificates; cp $1/etc/ssl/certs/ca-certificates.crt $1/local/share/base; : > $1/etc/ca-certificates.conf");
        _inside.Environment["TMPDIR"] = what == "TMPDIR" ? "/nowhere" : "/tmp";
        _inside.Program("/usr/local/share/tool", tool);
        _inside.Before = "cp local/share/tool tmp/tool; mount --bind tmp/tool usr/sbin/update-ca-certificates; " + before;
        _inside.Agent("openssl verify -CAfile \"$SSL_CERT_FILE\" /.data/proxy/certs/ca.crt; echo early; for i in $(seq 100); do [ -e /tmp/go ] && break; sleep 0.1; done; openssl verify -CAfile \"$SSL_CERT_FILE\" /.data/proxy/certs/ca.crt; exit 0");
        await _inside.StartAsync();
        await _inside.SeeAsync("the distribution's tool has ");
        await _inside.ShellAsync("touch /tmp/go");
        Assert.True(await _inside.EndAsync() == 0, _inside.Output);
        Assert.True(_inside.Output.Split("/.data/proxy/certs/ca.crt: OK\n").Length == 3, $"{what}\n{_inside.Output}");
        Assert.True(Read(Bundle).Count > 50, what);
    }

    [Fact]
    public async Task An_image_without_a_tool_gets_the_anchor_that_a_tool_of_its_distribution_will_look_for()
    {
        _inside.Prepare("printf 'NAME=x\\nID_LIKE=\"ubuntu debian\"\\nID=other\\n' > $1/etc/os-release");
        _inside.Before = "mount --bind tmp usr/sbin"; // no tool of this machine's
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Equal(await File.ReadAllTextAsync(_inside.At("/.data/proxy/certs/ca.crt")), await File.ReadAllTextAsync(Path.Combine(_inside.Root, "local/share/ca-certificates/discobot-proxy-ca.crt")));
    }

    /// <summary>In a file each, both in one, in a directory; one that is missing is told and costs nothing.</summary>
    [Fact]
    public async Task The_users_own_authorities_are_trusted_beside_ours_by_whatever_variable_they_came()
    {
        string[] names = ["Corp Root", "Npm Root", "Dir Root"];
        _inside.Prepare("mkdir $1/corp $1/corp/dir");
        foreach (var (name, file) in names.Zip(["/corp/root.pem", "/corp/npm.pem", "/corp/dir/one.pem"]))
            await File.WriteAllTextAsync(_inside.At(file), Certificate(name));
        _inside.Environment["REQUESTS_CA_BUNDLE"] = "/corp/root.pem";
        _inside.Environment["NODE_EXTRA_CA_CERTS"] = "/corp/npm.pem";
        _inside.Environment["SSL_CERT_DIR"] = "/corp/dir:/nowhere";
        _inside.Environment["AWS_CA_BUNDLE"] = "/corp/gone.pem";
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("\nbundle=/var/lib/discobot/ca-bundle.crt\nrequests=/var/lib/discobot/ca-bundle.crt\nnode=/var/lib/discobot/extra-ca.crt\n", _inside.Said, StringComparison.Ordinal);
        Assert.Contains("warning: AWS_CA_BUNDLE names /corp/gone.pem, which holds no certificate that can be read\n", _inside.Output, StringComparison.Ordinal);
        Assert.Superset(names.Append("Discobot Proxy CA").ToHashSet(), Read("/tmp/bundle").Select(c => c.GetNameInfo(X509NameType.SimpleName, false)).ToHashSet());
        Assert.Equal(4, Read("/tmp/node").Count);
        var first = await File.ReadAllTextAsync(_inside.At("/tmp/bundle"));
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Equal(first, await File.ReadAllTextAsync(_inside.At("/tmp/bundle")));

        // Without them the system's own serves again, and nothing of theirs is left.
        foreach (var name in new[] { "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "SSL_CERT_DIR", "AWS_CA_BUNDLE" })
            _inside.Environment.Remove(name);
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains($"\nbundle={Bundle}\n", _inside.Output, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(_inside.At("/var/lib/discobot"), "*.crt"));
    }

    private List<X509Certificate2> Read(string path) => PemCertificates.Read(File.ReadAllText(_inside.At(path), System.Text.Encoding.Latin1), out _);

    private static string Certificate(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=" + name, key, HashAlgorithmName.SHA256);
        using var certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        return certificate.ExportCertificatePem() + "\n";
    }
}
