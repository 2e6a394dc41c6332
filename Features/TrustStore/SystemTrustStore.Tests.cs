using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.TrustStore;

public sealed class SystemTrustStoreTests : IDisposable
{
    private static readonly X509Certificate2 Authority = TrustTree.NewAuthority();
    private static readonly X509Certificate2 Other = TrustTree.NewAuthority();

    private readonly TrustTree _tree = new();

    public void Dispose() => _tree.Dispose();

    public static TheoryData<string, string, string, string, string, string> Families => new()
    {
        {
            "Debian/Ubuntu", "usr/local/share/ca-certificates", "update-ca-certificates", "", "--fresh",
            "etc/ssl/certs/ca-certificates.crt"
        },
        { "SUSE", "etc/pki/trust/anchors", "update-ca-certificates", "", "", "var/lib/ca-certificates/ca-bundle.pem" },
        {
            "Fedora/RHEL", "etc/pki/ca-trust/source/anchors", "update-ca-trust", "extract", "extract",
            "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"
        },
        {
            "Arch", "etc/ca-certificates/trust-source/anchors", "update-ca-trust", "", "",
            "etc/ca-certificates/extracted/tls-ca-bundle.pem"
        },
    };

    [Theory]
    [MemberData(nameof(Families))]
    public async Task Each_family_is_known_by_its_anchors_and_its_tool(
        string name, string anchors, string tool, string arguments, string renewal, string bundle)
    {
        _tree.AddDirectory(anchors);
        _tree.AddTool(tool, anchors, bundle);

        var installed = await Install(Authority);
        var anchor = _tree.PathOf(anchors + "/discobot-proxy-ca.crt");
        Assert.Equal(new TrustStatus(name, true, _tree.PathOf(bundle), anchor, true, null), installed);
        Assert.True(BundleBlock.Holds(_tree.PathOf(bundle), Authority));
        Assert.Equal(installed with { Changed = false }, await Install(Authority));
        Assert.Equal(installed with { Changed = false }, _tree.Store().Status(Authority));
        Assert.Equal([$"called with {arguments}"], _tree.Calls());

        Assert.True((await Install(Other)).Trusted);
        Assert.False(BundleBlock.Holds(_tree.PathOf(bundle), Authority));

        var removed = await Remove();
        Assert.Equal((false, true, null), (removed.Trusted, removed.Changed, removed.Problem));
        Assert.Empty(Directory.GetFiles(_tree.PathOf(anchors)));
        Assert.Equal([$"called with {arguments}", $"called with {renewal}", $"called with {renewal}"], _tree.Calls());
        Assert.False((await Remove()).Changed);
    }

    [Fact]
    public async Task Alpine_is_told_from_Debian_though_directory_and_tool_have_the_same_names()
    {
        _tree.AddDirectory("etc");
        File.WriteAllText(_tree.PathOf("etc/alpine-release"), "3.20.3\n");
        _tree.AddTool("update-ca-certificates", "usr/local/share/ca-certificates", "etc/ssl/certs/ca-certificates.crt");
        var installed = await Install(Authority);
        Assert.Equal(("Alpine", true), (installed.Family, installed.Trusted));
        await Remove();
        Assert.Equal(["called with ", "called with "], _tree.Calls());
    }

    [Fact]
    public async Task A_tool_of_the_right_name_without_a_directory_of_its_family_is_not_run()
    {
        _tree.AddTool("update-ca-trust", "usr/local/share/ca-certificates", "etc/ssl/certs/ca-certificates.crt");
        _tree.AddDirectory("usr/local/share/ca-certificates");
        var installed = await Install(Authority);
        Assert.Equal(("no tool", true, null), (installed.Family, installed.Trusted, installed.Anchor));
        Assert.Empty(_tree.Calls());
    }

    [Fact]
    public async Task A_CA_that_fell_out_of_the_bundle_is_put_back_though_its_anchor_is_there()
    {
        _tree.AddTool("update-ca-certificates", "usr/local/share/ca-certificates", "etc/ssl/certs/ca-certificates.crt");
        _tree.AddDirectory("usr/local/share/ca-certificates");
        await Install(Authority);
        _tree.AddBundle("etc/ssl/certs/ca-certificates.crt");
        Assert.False(_tree.Store().Status(Authority).Trusted);
        Assert.True((await Install(Authority)).Trusted);
    }

    [Theory]
    [InlineData("echo no space left; exit 3", "exit code 3")]
    [InlineData("true", "is not in")]
    public async Task A_tool_that_fails_or_only_says_it_worked_is_found_out(string script, string problem)
    {
        _tree.AddDirectory("usr/local/share/ca-certificates");
        _tree.AddBundle("etc/ssl/certs/ca-certificates.crt");
        _tree.AddTool("update-ca-certificates", script);
        var status = await Install(Authority);
        Assert.False(status.Trusted);
        Assert.Contains(problem, status.Problem, StringComparison.Ordinal);
        Assert.Contains(problem, status.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_tool_that_hangs_is_ended_with_its_children()
    {
        _tree.AddDirectory("usr/local/share/ca-certificates");
        _tree.AddTool("update-ca-certificates", "sleep 1000 & echo $!; wait");
        // As long as this machine takes to start it.
        for (var limit = 2; _tree.Lines.Count == 0; limit *= 2)
        {
            var clock = Stopwatch.StartNew();
            var status = await _tree.Store(TimeSpan.FromSeconds(limit)).InstallAsync(Authority, CancellationToken.None);
            Assert.InRange(clock.Elapsed, TimeSpan.FromSeconds(limit / 2), TimeSpan.FromSeconds(900));
            Assert.Contains($"longer than {limit} s", status.Problem, StringComparison.Ordinal);
        }

        var child = Assert.Single(_tree.Lines).Text.Split(' ')[^1];
        Assert.False(File.Exists($"/proc/{child}/cmdline") && File.ReadAllText($"/proc/{child}/cmdline").Length > 0);
    }

    [Fact]
    public async Task A_tool_that_leaves_somebody_behind_with_its_output_has_ended()
    {
        _tree.AddDirectory("usr/local/share/ca-certificates");
        _tree.AddTool("update-ca-certificates", "echo before; sleep 1000 & exit 0");
        var clock = Stopwatch.StartNew();
        var status = await _tree.Store(TimeSpan.FromSeconds(600)).InstallAsync(Authority, CancellationToken.None);
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(500));
        Assert.DoesNotContain("longer than", status.Problem ?? "", StringComparison.Ordinal);
        Assert.Contains(_tree.Lines, line => line.Text.EndsWith("before", StringComparison.Ordinal));
    }

    /// <summary>Else it would undo what is done when the tool seems to have ended: by us, or by whose turn it is then.</summary>
    [Theory]
    [InlineData("exit 0")]
    [InlineData("exit 3")]
    [InlineData("exec sleep 60")]
    public async Task Nobody_whom_the_tool_left_behind_goes_on_writing(string end)
    {
        _tree.AddDirectory("usr/local/share/ca-certificates");
        var bundle = _tree.AddBundle("etc/ssl/certs/ca-certificates.crt");
        _tree.AddTool("update-ca-certificates",
            $"sh -c 'trap \"\" TERM HUP; while :; do : > {bundle}; done' > /dev/null 2>&1 & echo $! > '{_tree.PathOf("left.new")}'; mv '{_tree.PathOf("left.new")}' '{_tree.PathOf("left")}'; {end}");
        // As long as this machine takes to start it.
        for (var limit = TimeSpan.FromSeconds(end.StartsWith("exec", StringComparison.Ordinal) ? 2 : 60); !File.Exists(_tree.PathOf("left")); limit *= 2)
        {
            var status = await _tree.Store(limit).InstallAsync(Authority, CancellationToken.None);
            Assert.True(limit < TimeSpan.FromMinutes(10), status.Problem);
        }

        var left = int.Parse(File.ReadAllText(_tree.PathOf("left")), CultureInfo.InvariantCulture);
        Assert.DoesNotContain(left, ProcessTree.Read().Running);
    }

    [Fact]
    public async Task What_the_tool_prints_is_in_the_log()
    {
        _tree.AddDirectory("usr/local/share/ca-certificates");
        _tree.AddTool("update-ca-certificates", "echo to output; echo to errors >&2");
        await Install(Authority);
        Assert.Equal(
            ["update-ca-certificates: to errors", "update-ca-certificates: to output"],
            _tree.Lines.Select(line => line.Text).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_link_in_the_place_of_the_anchor_is_replaced_not_followed()
    {
        _tree.AddDirectory("usr/local/share/ca-certificates");
        _tree.AddTool("update-ca-certificates", "usr/local/share/ca-certificates", "etc/ssl/certs/ca-certificates.crt");
        var victim = _tree.PathOf("victim");
        File.WriteAllText(victim, "untouched");
        File.CreateSymbolicLink(_tree.PathOf("usr/local/share/ca-certificates/discobot-proxy-ca.crt"), victim);
        Assert.True((await Install(Authority)).Trusted);
        Assert.Equal("untouched", File.ReadAllText(victim));
    }

    [Fact]
    public async Task Without_a_tool_every_bundle_gets_a_block_that_can_be_taken_out_byte_for_byte()
    {
        var bundles = new[] { "etc/ssl/certs/ca-certificates.crt", "etc/pki/tls/certs/ca-bundle.crt" }.Select(_tree.AddBundle).ToList();
        File.SetUnixFileMode(bundles[0], UnixFileMode.UserRead | UnixFileMode.OtherRead);
        File.CreateSymbolicLink(_tree.PathOf("etc/ssl/cert.pem"), "certs/ca-certificates.crt");

        var installed = await Install(Authority);
        Assert.Equal(new TrustStatus("no tool", true, bundles[0], null, true, null), installed);
        Assert.All(bundles, bundle => Assert.True(BundleBlock.Holds(bundle, Authority)));
        Assert.Equal("certs/ca-certificates.crt", new FileInfo(_tree.PathOf("etc/ssl/cert.pem")).LinkTarget);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.OtherRead, File.GetUnixFileMode(bundles[0]));
        Assert.False((await Install(Authority)).Changed);

        await Install(Other);
        Assert.All(bundles, bundle => Assert.False(BundleBlock.Holds(bundle, Authority)));

        Assert.True((await Remove()).Changed);
        Assert.All(bundles, bundle => Assert.Equal(TrustTree.Base, File.ReadAllBytes(bundle)));
    }

    [Fact]
    public async Task Bundles_that_are_one_file_by_way_of_linked_directories_are_one()
    {
        var bundle = _tree.AddBundle("etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem");
        _tree.AddDirectory("etc/pki/tls/certs");
        _tree.AddDirectory("etc/ssl");
        File.CreateSymbolicLink(_tree.PathOf("etc/pki/tls/certs/ca-bundle.crt"), "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem");
        File.CreateSymbolicLink(_tree.PathOf("etc/pki/tls/certs/ca-certificates.crt"), "../../ca-trust/extracted/pem/tls-ca-bundle.pem");
        File.CreateSymbolicLink(_tree.PathOf("etc/ssl/certs"), "../pki/tls/certs");
        Assert.Equal(bundle, (await Install(Authority)).Bundle);
        Assert.True((await Remove()).Changed);
        Assert.Equal(TrustTree.Base, File.ReadAllBytes(bundle));
    }

    [Fact]
    public async Task A_block_in_one_bundle_of_two_is_not_enough()
    {
        var first = _tree.AddBundle("etc/ssl/certs/ca-certificates.crt");
        _tree.AddBundle("etc/ssl/ca-bundle.pem");
        BundleBlock.Put(first, Authority);
        Assert.False(_tree.Store().Status(Authority).Trusted);
        Assert.True((await Install(Authority)).Trusted);
    }

    [Fact]
    public async Task With_neither_tool_nor_bundle_the_problem_is_told()
    {
        var status = await Install(Authority);
        Assert.Equal((false, null), (status.Trusted, status.Bundle));
        Assert.Contains("neither a trust tool nor a bundle", status.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Removal_says_so_when_others_installed_the_CA()
    {
        var bundle = _tree.AddBundle("etc/ssl/certs/ca-certificates.crt");
        File.AppendAllText(bundle, "\n" + Authority.ExportCertificatePem() + "\n");
        var status = await _tree.Store().RemoveAsync(Authority, CancellationToken.None);
        Assert.Equal((true, false), (status.Trusted, status.Changed));
        Assert.Contains("not us", status.Problem, StringComparison.Ordinal);
    }

    /// <summary>The start-up's tool takes seconds, in which <c>discobot trust</c> may be called.</summary>
    [Theory]
    [InlineData("install")]
    [InlineData("remove")]
    public async Task What_is_changed_while_the_tool_still_follows_waits_for_it_and_stays(string change)
    {
        var bundle = AddSlowTool();
        var first = _tree.Store();
        Assert.True(first.InstallAtOnce(Authority).Trusted);
        Assert.True(first.ToolHasToFollow);
        var following = first.FollowAsync(Authority, CancellationToken.None);
        while (_tree.Calls().Length == 0)
            await Task.Delay(5);

        var changed = change == "install" ? await Install(Other) : await Remove();
        Assert.Null(changed.Problem);
        await following;
        Assert.False(BundleBlock.Holds(bundle, Authority));
        Assert.Equal(change == "install", BundleBlock.Holds(bundle, Other));
    }

    [Theory]
    [InlineData("install")]
    [InlineData("remove")]
    public async Task What_was_changed_before_the_tool_follows_is_not_undone_by_it(string change)
    {
        var bundle = AddSlowTool();
        var first = _tree.Store();
        Assert.True(first.InstallAtOnce(Authority).Trusted);
        _ = change == "install" ? await Install(Other) : await Remove();
        var calls = _tree.Calls().Length;

        Assert.Contains("meanwhile", (await first.FollowAsync(Authority, CancellationToken.None)).Problem, StringComparison.Ordinal);
        Assert.Equal(calls, _tree.Calls().Length);
        Assert.False(BundleBlock.Holds(bundle, Authority));
        Assert.Equal(change == "install", BundleBlock.Holds(bundle, Other));
    }

    // Like the distributions', it knows the anchors when it begins and writes the bundle when it ends.
    private string AddSlowTool()
    {
        const string Anchors = "usr/local/share/ca-certificates";
        const string Bundle = "etc/ssl/certs/ca-certificates.crt";
        _tree.AddDirectory(Anchors);
        _tree.AddTool("update-ca-certificates", Anchors, Bundle);
        _tree.AddTool("update-ca-certificates", $"""
            cd '{_tree.Root}'
            echo "called with $*" >> calls
            cat base {Anchors}/*.crt > joined 2>/dev/null
            sleep 0.5
            cat joined > {Bundle}
            """);
        return _tree.PathOf(Bundle);
    }

    private Task<TrustStatus> Install(X509Certificate2 authority) => _tree.Store().InstallAsync(authority, CancellationToken.None);

    private Task<TrustStatus> Remove() => _tree.Store().RemoveAsync(Authority, CancellationToken.None);
}
