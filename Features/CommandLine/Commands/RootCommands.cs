using System.CommandLine;
using System.CommandLine.Help;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.CommandLine.Commands;

/// <summary>The command tree: one executable, three roles (init, proxy, tools).</summary>
internal static class RootCommands
{
    // A word that begins with @ is no file of further arguments: an agent's argument may begin so.
    private static readonly ParserConfiguration AsTyped = new() { ResponseFileTokenReplacer = null };

    public static Command Create()
    {
        // Not a RootCommand: that one takes the name of the file it was started by, and "proxy" would be there twice.
        var root = new Command("discobot", "The entry point and the network of containers in which agents work: prepares the container, "
            + "then runs an intercepting, caching HTTP/HTTPS and SOCKS5 proxy.")
        {
            Help(recursive: true),
            new VersionOption(),
        };
        root.Subcommands.Add(InitCommand.Create());
        root.Subcommands.Add(ProxyCommand.Create());
        root.Subcommands.Add(GatewayCommand.Create());
        root.Subcommands.Add(HealthCommand.Create());
        root.Subcommands.Add(TrustCommand.Create());
        root.Subcommands.Add(CaCommand.Create());
        root.Subcommands.Add(ConfigCommand.Create());
        root.Subcommands.Add(AllowlistCommand.Create());
        root.Subcommands.Add(ApproveCommand.Create());
        root.Subcommands.Add(GrantsCommand.Create());
        root.Subcommands.Add(CacheCommand.Create());
        root.Subcommands.Add(PolicyCommand.Create());
        root.Subcommands.Add(AuditCommand.Create());
        root.Subcommands.Add(TailCommand.Create());
        root.Subcommands.Add(HarCommand.Create());
        root.Subcommands.Add(UiCommand.Create());
        root.Subcommands.Add(ExplainCommand.Create());
        root.Subcommands.Add(DoctorCommand.Create());
        root.Subcommands.Add(ExecCommand.Create());
        root.Subcommands.Add(DockerGuardCommand.Create());
        root.Subcommands.Add(AttemptsCommand.Create());
        root.Subcommands.Add(CompletionCommand.Create());
        root.Subcommands.Add(CompletionCommand.CreateAsked());
        root.Subcommands.Add(ManPages.Create());
        root.Subcommands.Add(HelpCommand());
        root.Subcommands.Add(VersionCommand());
        return root;
    }

    /// <summary>Runs what the arguments ask for. Called under the name <c>proxy</c>, the executable is that
    /// command; under the name <c>runc</c> it stands before the real one.</summary>
    /// <returns>0 fine, 1 failed at run time, 2 wrong usage or configuration.</returns>
    public static async Task<int> RunAsync(string calledAs, string[] args)
    {
        if (Path.GetFileName(calledAs) == "runc")
            return RuncCommand.Run(args);
        if (Path.GetFileName(calledAs) != "proxy" && InitCommand.Takes(args))
            return await InitCommand.RunAsync(ByteText.OwnArguments(args.Length - 1));
        return await RunAsync(Path.GetFileName(calledAs) == "proxy" ? Proxy() : Create(), args, new InvocationConfiguration());
    }

    /// <summary>Runs the arguments on a command tree.</summary>
    public static async Task<int> RunAsync(Command root, IReadOnlyList<string> args, InvocationConfiguration console)
    {
        var parsed = root.Parse(args, AsTyped);
        if (UsageErrors.Find(parsed) is { } mistake)
        {
            await console.Error.WriteLineAsync(mistake);
            return ExitCode.Usage;
        }

        // Signals are ours: a proxy drains, an init stops its children in order.
        console.ProcessTerminationTimeout = null;
        return parsed.Action is HelpAction ? CommandHelp.Show(parsed, console) : await parsed.InvokeAsync(console);
    }

    // The library would ask .NET's console for the width.
    private static HelpOption Help(bool recursive) => new() { Recursive = recursive, Action = new HelpAction { MaxWidth = StandardStream.Width() } };

    // Not below the root command: that is named after the executable, here proxy as well, and no two may be.
    private static Command Proxy()
    {
        var proxy = ProxyCommand.Create();
        proxy.Options.Add(Help(recursive: false));
        return proxy;
    }

    private static Command HelpCommand()
    {
        var words = new Argument<string[]>("COMMAND") { Description = "The command, as in `cache stats`; none for the list.", Arity = ArgumentArity.ZeroOrMore };
        var help = new Command("help", "Tell how a command is used.") { words };
        help.SetAction((parsed, _) => RunAsync(Create(), [.. parsed.GetValue(words)!, "--help"], parsed.InvocationConfiguration));
        return help;
    }

    private static Command VersionCommand()
    {
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var version = new Command("version", "Show the version.") { json };
        version.SetAction(async (parsed, _) =>
        {
            if (!parsed.GetValue(json))
                return await RunAsync(Create(), ["--version"], parsed.InvocationConfiguration);
            using var word = new StringWriter();
            await RunAsync(Create(), ["--version"], new InvocationConfiguration { Output = word });
            parsed.InvocationConfiguration.Output.WriteLine(JsonText.Of(text =>
            {
                text.WriteStartObject();
                text.WriteString("version", word.ToString().Trim());
                text.WriteEndObject();
            }));
            return ExitCode.Fine;
        });
        return version;
    }
}

internal static class ExitCode
{
    public const int Fine = 0;
    public const int Failed = 1;
    public const int Usage = 2;
}
