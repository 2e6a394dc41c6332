using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace Discobot.Features.Init;

public sealed partial class StartupTests : IDisposable
{
    private readonly ContainerFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public void Each_step_needs_only_steps_above_it_and_the_order_is_the_promised_one()
    {
        var steps = Startup.Steps(_fixture.Container);
        var above = new HashSet<StartupStep>();
        foreach (var step in steps)
        {
            Assert.All(step.Needs, need => Assert.Contains(need, above));
            Assert.True(above.Add(step));
        }

        string[] order =
        [
            "base home", "workspace", "filesystem", "workspace link", "proxy config", "CA certificate and trust", "HTTP proxy", "Docker daemon", "agent-api",
        ];
        Assert.Equal(steps.Count, steps.Select(s => s.Name).Distinct().Count());
        Assert.Equal(order, steps.Select(s => s.Name).Where(order.Contains));
    }

    [Fact]
    public void Only_the_steps_without_which_there_is_no_session_are_fatal()
        => Assert.Equal(
            ["data directories", "base home", "workspace", "filesystem", "workspace link", "egress rules", "way out", "agent-api"],
            Startup.Steps(_fixture.Container).Where(s => s.OnFailure == OnFailure.Fatal).Select(s => s.Name));

    [Fact]
    public async Task Each_steps_share_and_the_total_are_in_the_log_whether_it_worked_or_not()
    {
        var (one, two) = (Step("one"), Step("two", fails: true));
        Assert.True(await RunAsync(one, two, Step("three", two), Step("four", one)));
        var ends = Ends().Matches(_fixture.Output).Select(m => m.Groups[1].Value);
        Assert.Equal(["one completed", "two failed", "three failed", "four completed", "startup completed"], ends);
        Assert.Contains("warning: two failed: no luck\n", _fixture.Output, StringComparison.Ordinal);
        Assert.Contains("warning: three failed: it needs two\n", _fixture.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task After_a_fatal_failure_no_further_step_is_run()
    {
        Assert.False(await RunAsync(Step("one", fails: true, onFailure: OnFailure.Fatal), Step("two")));
        Assert.Contains("error: one failed: no luck\n", _fixture.Output, StringComparison.Ordinal);
        Assert.Equal(["one failed", "startup failed"], Ends().Matches(_fixture.Output).Select(m => m.Groups[1].Value));
    }

    [Fact]
    public async Task The_authority_is_made_beside_the_steps_that_do_not_need_it()
    {
        var made = new TaskCompletionSource();
        using var fixture = new ContainerFixture();
        var container = new Container(
            fixture.Container.Paths, fixture.Container.Session, ContainerFixture.Agent, fixture.Container.Environment,
            fixture.Container.Services with { EnsureAuthority = (_, _) => made.Task }, fixture.Log, fixture.Spawner);
        var volume = await new DataDirectories(container).RunAsync(CancellationToken.None);
        await new BaseHome(container).RunAsync(CancellationToken.None);
        await new WorkspaceSetup(container).RunAsync(CancellationToken.None);
        var trust = new CertificateTrust(container).RunAsync(volume, new ProxySummary(), CancellationToken.None);
        Assert.False(trust.IsCompleted);
        made.SetResult();
        await trust;

        // Nor does a stop wait for it.
        var never = volume with { Authority = new TaskCompletionSource().Task };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => new CertificateTrust(container).RunAsync(never, new ProxySummary(), new CancellationToken(true)));
    }

    [Fact]
    public async Task What_a_step_finds_the_steps_below_get_and_where_it_failed_what_is_so_without_it()
    {
        var finds = new StartupStep<string>("finds", OnFailure.Warn, [], _ => Task.FromResult("found"), () => "nothing");
        var fails = new StartupStep<string>("fails", OnFailure.Warn, [], _ => throw new StartupException("no luck"), () => "nothing");
        var seen = "";
        Assert.True(await RunAsync(finds, fails, new StartupStep("reads", OnFailure.Warn, [finds], _ => Task.FromResult(seen = $"{finds.Result}, {fails.Result}"))));
        Assert.Equal("found, nothing", seen);
    }

    [Fact]
    public void Nothing_of_what_every_step_works_with_is_changed_by_one()
        => Assert.Equal(
            [],
            typeof(Container).GetProperties().Where(p => p.SetMethod is { } set && !set.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)))
                .Select(p => p.Name));

    private static StartupStep Step(string name, StartupStep? needs = null, bool fails = false, OnFailure onFailure = OnFailure.Warn)
        => new(name, onFailure, needs is null ? [] : [needs], _ => fails ? throw new StartupException("no luck") : Task.CompletedTask);

    private Task<bool> RunAsync(params StartupStep[] steps) => Startup.RunAsync(steps, _fixture.Log, CancellationToken.None);

    [GeneratedRegex(@"^discobot-agent: \[[0-9]+\.[0-9]{3}s\] (.*)$", RegexOptions.Multiline)]
    private static partial Regex Ends();
}
