using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Discobot.Tests.Fixtures;

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
    public void Every_step_has_a_check_in_the_doctor_and_every_check_a_step()
    {
        // Where the names differ, what of the step can be seen afterwards.
        var checkedAs = new Dictionary<string, string>
        {
            ["shell environment"] = "login shells",
            ["CA certificate and trust"] = "CA certificate",
            ["HTTP proxy"] = "proxy binary",
            ["Docker daemon"] = "docker group",
        };
        // A finding for each hook: none where there is none.
        string[] several = ["session hooks"];
        var checks = Startup.Checks(new SeenContainer(_fixture.Container.Paths, new Dictionary<string, string>(), () => [])).Select(finding => finding.Name);
        Assert.Equal(Startup.Steps(_fixture.Container).Select(step => step.Name).Except(several).Select(name => checkedAs.GetValueOrDefault(name, name)).Order(), checks.Order());
    }

    /// <summary>The page has two tables: what each step does, in their order, and what the doctor looks at.</summary>
    [Fact]
    public void The_page_of_the_init_has_a_row_for_each_step_and_for_each_check()
    {
        var rows = File.ReadLines(Path.Combine(Checkout.Top(), "docs/init.md")).Where(line => line.StartsWith("| ", StringComparison.Ordinal)).Select(line => line.Split('|')[1].Trim()).ToList();
        var steps = Startup.Steps(_fixture.Container).Select(step => step.Name).ToList();
        Assert.Equal(steps, rows.Skip(1).Take(steps.Count));
        var checks = Startup.Checks(new SeenContainer(_fixture.Container.Paths, new Dictionary<string, string>(), () => [])).Select(finding => finding.Name).Append("hook NAME");
        Assert.Equal(checks.Order(), rows[(rows.LastIndexOf("step") + 1)..].Order());
    }

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

    /// <summary>As with a file system whose server is gone: nothing that the step is asked for ends it.</summary>
    [Fact]
    public async Task A_step_that_the_kernel_does_not_let_go_is_told_of_and_a_stop_goes_on_without_it()
    {
        using var never = new ManualResetEventSlim();
        using var stop = new CancellationTokenSource();
        var hangs = new StartupStep("hangs", OnFailure.Warn, [], _ =>
        {
            never.Wait(CancellationToken.None);
            return Task.CompletedTask;
        });
        var lines = new ConcurrentQueue<string>();
        var start = Startup.RunAsync([hangs, Step("next")], new InitLog(lines.Enqueue, lines.Enqueue), TimeSpan.FromMilliseconds(50), stop.Token);
        await Eventually.TrueAsync(() => Task.FromResult(lines.Count(line => line.Contains("hangs goes on after ", StringComparison.Ordinal)) >= 2));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => start.WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.StartsWith("discobot-agent: warning: hangs does not end, and is left: ", lines.Last(), StringComparison.Ordinal);
        never.Set();
    }

    [Fact]
    public async Task A_step_that_is_asked_to_end_gets_the_time_to_do_so()
    {
        using var stop = new CancellationTokenSource();
        var left = false;
        var leaves = new StartupStep("leaves", OnFailure.Warn, [], async token =>
        {
            await Task.Delay(Timeout.Infinite, token).ContinueWith(_ => { }, TaskScheduler.Default);
            // By time: a step that takes a while to leave.
            await Task.Delay(200, CancellationToken.None);
            left = true;
        });
        var start = Startup.RunAsync([leaves, Step("next")], _fixture.Log, patience: null, stop.Token);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => start.WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.True(left);
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

    private Task<bool> RunAsync(params StartupStep[] steps) => Startup.RunAsync(steps, _fixture.Log, patience: null, CancellationToken.None);

    [GeneratedRegex(@"^discobot-agent: \[[0-9]+\.[0-9]{3}s\] (.*)$", RegexOptions.Multiline)]
    private static partial Regex Ends();
}
