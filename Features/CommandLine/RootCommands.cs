using System.CommandLine;
using System.CommandLine.Help;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.CommandLine;

/// <summary>The command tree: one executable, three roles (init, proxy, tools).</summary>
internal static class RootCommands
{
    public static Command Create()
    {
        // Not a RootCommand: that one takes the name of the file it was started by, and "proxy" would be there twice.
        var root = new Command("discobot", "The entry point and the network of containers in which agents work: prepares the container, "
            + "then runs an intercepting, caching HTTP/HTTPS and SOCKS5 proxy.")
        {
            new HelpOption { Recursive = true },
            new VersionOption(),
        };
        root.Subcommands.Add(InitCommand.Create());
        root.Subcommands.Add(ProxyCommand.Create());
        root.Subcommands.Add(HealthCommand.Create());
        root.Subcommands.Add(TrustCommand.Create());
        root.Subcommands.Add(CaCommand.Create());
        root.Subcommands.Add(ConfigCommand.Create());
        root.Subcommands.Add(AllowlistCommand.Create());
        root.Subcommands.Add(CacheCommand.Create());
        root.Subcommands.Add(ExplainCommand.Create());
        root.Subcommands.Add(DoctorCommand.Create());
        root.Subcommands.Add(ExecCommand.Create());
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
        var parsed = Path.GetFileName(calledAs) == "proxy" ? Proxy().Parse(args) : Create().Parse(args);
        // The library answers usage errors with 1; people and scripts know 2.
        var usage = parsed.Errors.Count > 0;
        // Signals are ours: a proxy drains, an init stops its children in order.
        var code = await parsed.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });
        return usage ? ExitCode.Usage : code;
    }

    // Not below the root command: that is named after the executable, here proxy as well, and no two may be.
    private static Command Proxy()
    {
        var proxy = ProxyCommand.Create();
        proxy.Options.Add(new HelpOption());
        return proxy;
    }
}

internal static class ExitCode
{
    public const int Fine = 0;
    public const int Failed = 1;
    public const int Usage = 2;
}
