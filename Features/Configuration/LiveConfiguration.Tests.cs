using System.Text;
using System.Text.Json;
using Discobot.Features.Allowlist;
using Discobot.Infrastructure;
using Discobot.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Discobot.Features.Configuration;

public sealed class LiveConfigurationTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("live");
    private readonly Lines _log = new();

    private string FilePath => Path.Combine(_directory.FullName, "config.yaml");

    public void Dispose() => _directory.Delete(recursive: true);

    private SettingsSources Sources() => new(FilePath, new Dictionary<string, string>(), new Dictionary<string, string>(), "/data");

    private (LiveConfiguration Configuration, Live<ProxySettings> Settings) Start(string yaml)
    {
        File.WriteAllText(FilePath, yaml);
        var live = new Live<ProxySettings>(Sources().Load().Value!);
        return (new LiveConfiguration(live, Sources(), new ConfigurationMetrics(TestMetrics.New()), _log), live);
    }

    [Fact]
    public void A_valid_change_is_in_force_at_once_and_what_needs_a_restart_is_named()
    {
        var (configuration, settings) = Start("allowlist: {enabled: true, domains: [a.com]}\ncache: {max_size: 1GiB}");
        File.WriteAllText(
            FilePath,
            "proxy: {port: 1234}\nallowlist: {enabled: true, domains: [b.com]}\ncache: {max_size: 2GiB, dir: /else}\nlogging: {level: warn}");
        configuration.ReloadIfChanged();
        Assert.Equal("b.com", settings.Value.Allowlist.Domains.Single().Host.Text);
        Assert.Equal((2L << 30, "/data/cache", 17080), (settings.Value.Cache.MaxSize, settings.Value.Cache.Dir, settings.Value.Proxy.Port));
        Assert.Equal(LogLevel.Warning, settings.Value.Logging.Level);
        Assert.Equal(
            [
                "Warning configuration change needs a restart key=proxy.port",
                "Warning configuration change needs a restart key=cache.dir",
                $"Information configuration reloaded file={FilePath}",
            ],
            _log.Written);
    }

    [Fact]
    public async Task A_file_that_does_not_answer_holds_up_its_reader_and_not_the_API()
    {
        var (configuration, settings) = Start("allowlist: {enabled: true}");
        File.Delete(FilePath);
        using (var made = System.Diagnostics.Process.Start("mkfifo", FilePath))
            await made.WaitForExitAsync();
        var reading = Task.Factory.StartNew(configuration.Reload, default, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        var changed = Task.Run(() => configuration.Apply("""{"allowlist": {"enabled": false}}"""u8, merge: false));

        Assert.Equal("", (await changed.WaitAsync(TimeSpan.FromSeconds(20))).ErrorText());
        Assert.False(settings.Value.Allowlist.Enabled);
        Assert.False(reading.IsCompleted);
        await File.WriteAllTextAsync(FilePath, "allowlist: {enabled: true}");
        Assert.True((await reading.WaitAsync(TimeSpan.FromSeconds(20))).IsValid);
        Assert.True(settings.Value.Allowlist.Enabled);
    }

    [Fact]
    public void A_bad_file_is_refused_whole_with_every_error_told_once()
    {
        var (configuration, settings) = Start("allowlist: {enabled: true}");
        var before = settings.Value;
        File.WriteAllText(FilePath, "allowlist: {enabled: false, domians: []}\ncache: {enabled: x}");
        configuration.ReloadIfChanged();
        configuration.ReloadIfChanged();
        Assert.Same(before, settings.Value);
        Assert.Equal(3, _log.Written.Count);
        Assert.StartsWith($"Error configuration error {FilePath}:1:29: allowlist.domians: unknown key", _log.Written[0], StringComparison.Ordinal);
        Assert.Equal("Error configuration rejected, the running one stays errors=2", _log.Written[2]);
    }

    [Fact]
    public void A_file_that_vanishes_changes_nothing_and_counts_again_when_it_returns()
    {
        var (configuration, settings) = Start("allowlist: {enabled: true}");
        File.Delete(FilePath);
        configuration.ReloadIfChanged();
        Assert.True(settings.Value.Allowlist.Enabled);
        File.WriteAllText(FilePath, "allowlist: {enabled: true, ips: [10.0.0.1]}");
        configuration.ReloadIfChanged();
        Assert.Single(settings.Value.Allowlist.Ips);
        Assert.Contains(_log.Written, line => line.EndsWith("does not exist", StringComparison.Ordinal));
    }

    [Fact]
    public void A_touched_file_does_not_take_back_what_the_API_changed_but_a_reload_does()
    {
        var (configuration, settings) = Start("allowlist: {enabled: true, domains: [a.com]}");
        Assert.True(configuration.Apply("""{"allowlist": {"domains": ["b.com"]}}"""u8, merge: true).IsValid);
        File.SetLastWriteTimeUtc(FilePath, DateTime.UtcNow);
        configuration.ReloadIfChanged();
        Assert.Equal("b.com", settings.Value.Allowlist.Domains.Single().Host.Text);
        Assert.True(configuration.Reload().IsValid);
        Assert.Equal("a.com", settings.Value.Allowlist.Domains.Single().Host.Text);
    }

    [Theory]
    [InlineData(true, """{"headers": {"A.COM": null}}""", "b.com", true, "a.com")]
    [InlineData(true, """{"headers": {"b.com": {"set": {"X": "2"}}, "c.com": {"set": {"X": "3"}}}}""", "a.com b.com c.com", true, "a.com")]
    [InlineData(true, """{"allowlist": {"domains": ["*"]}}""", "a.com b.com", true, "*")]
    [InlineData(false, """{"headers": {"c.com": {"set": {"X": "3"}}}}""", "c.com", true, "a.com")]
    [InlineData(false, """{"headers": {}}""", "", true, "a.com")]
    [InlineData(false, """{"allowlist": {"domains": ["b.com"]}}""", "a.com b.com", false, "b.com")]
    [InlineData(false, "{}", "a.com b.com", true, "a.com")]
    public void A_patch_merges_and_a_post_replaces_the_sections_it_names(bool merge, string json, string headers, bool enabled, string domains)
    {
        var (configuration, settings) = Start(
            "allowlist: {enabled: true, domains: [a.com]}\nheaders: {a.com: {set: {X: 1}}, b.com: {set: {X: 1}}}");
        Assert.Equal("", configuration.Apply(Encoding.UTF8.GetBytes(json), merge).ErrorText());
        Assert.Equal(headers, string.Join(' ', settings.Value.Headers.Rules.Select(r => r.Host.Text)));
        Assert.Equal(enabled, settings.Value.Allowlist.Enabled);
        Assert.Equal(domains, string.Join(' ', settings.Value.Allowlist.Domains.Select(d => d.Host.Text)));
    }

    [Fact]
    public void A_bad_body_changes_nothing_and_tells_every_mistake()
    {
        var (configuration, settings) = Start("allowlist: {enabled: true}");
        var before = settings.Value;
        var result = configuration.Apply(
            """{"allowlist": {"enabled": "perhaps"}, "headers": {"a.com": {"set": {"Host": "x"}}}, "proxy": {"port": 1}}"""u8, merge: false);
        Assert.Equal(
            """
            request body:1:27: allowlist.enabled: must be true or false, not "perhaps"
            request body:1:77: headers."a.com".set.Host: must not be set; it belongs to the connection, not to the request
            request body:1:85: proxy: unknown key; known here: allowlist, headers
            """,
            result.ErrorText());
        Assert.Same(before, settings.Value);
    }

    [Fact]
    public async Task Readers_never_see_a_moment_without_the_allowlist_while_it_is_reloaded()
    {
        var (configuration, settings) = Start("allowlist: {enabled: true, domains: [a.com]}");
        var open = 0;
        var done = false;
        var reader = Task.Run(() =>
        {
            while (!Volatile.Read(ref done))
            {
                var allowlist = settings.Value.Allowlist;
                if (!allowlist.Enabled || allowlist.Mode != AllowlistMode.Enforce || allowlist.Domains.Length != 1)
                    open++;
            }
        });
        for (var i = 0; i < 300; i++)
        {
            File.WriteAllText(FilePath, i % 3 == 0 ? "allowlist: {enabled: fals" : $"allowlist: {{enabled: true, domains: [a{i}.com]}}");
            configuration.ReloadIfChanged();
        }

        Volatile.Write(ref done, true);
        await reader;
        Assert.Equal(0, open);
    }

    [Fact]
    public async Task The_running_program_follows_its_file()
    {
        File.WriteAllText(FilePath, "allowlist: {enabled: false}");
        var host = Host.CreateEmptyApplicationBuilder(null);
        host.Services.AddConfiguration(Sources(), Sources().Load().Value!);
        using var program = host.Build();
        var settings = program.Services.GetRequiredService<Live<ProxySettings>>();
        var changed = new TaskCompletionSource<ProxySettings>(TaskCreationOptions.RunContinuationsAsynchronously);
        settings.Changed += next => changed.TrySetResult(next);
        await program.StartAsync();
        File.WriteAllText(FilePath, "allowlist: {enabled: true}");
        Assert.True((await changed.Task.WaitAsync(TimeSpan.FromSeconds(5))).Allowlist.Enabled);
        await program.StopAsync();
    }

    [Fact]
    public void Every_key_is_either_live_or_named_as_needing_a_restart()
    {
        string[] live =
        [
            "headers", "limits", "allowlist", "cache.max_size", "cache.shared_max_size", "cache.patterns", "cache.content_aware", "cache.fill_after_abort", "cache.stale_tags",
            "cache.rules", "cache.packages", "cache.offline", "packages.min_age", "packages.min_age_exclude",
            "tls.passthrough", "logging.level",
        ];
        using var shown = JsonDocument.Parse(SettingsJson.ToText(ProxySettings.Default("/data")));
        var keys = shown.RootElement.EnumerateObject().SelectMany(section => live.Contains(section.Name)
            ? [section.Name]
            : section.Value.EnumerateObject().Select(key => $"{section.Name}.{key.Name}"));
        var restart = RestartKeys.All.Select(k => k.Key).Except(["proxy.upstream", "cache.shared", "cache.remote", "logging.file", "secrets", "clients", "ask.webhook", "ask.webhook_secret"]);
        Assert.Equal(live.Concat(restart).Order(StringComparer.Ordinal), keys.Order(StringComparer.Ordinal));
    }

    private sealed class Lines : ILogger<LiveConfiguration>
    {
        public List<string> Written { get; } = [];

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Written.Add($"{logLevel} {formatter(state, exception)}");
    }
}
