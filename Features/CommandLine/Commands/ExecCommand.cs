using System.CommandLine;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot exec --user NAME --pdeathsig TERM --setsid -- CMD</c>: changes user and session, then becomes the program.
/// The init starts its children by it; it is hidden, as nobody else needs it.</summary>
internal static class ExecCommand
{
    private const int CannotExecute = 126;
    private const int NotFound = 127;

    public static Command Create()
    {
        var user = new Option<string?>("--user") { Description = "Name or number from /etc/passwd.", HelpName = "USER" };
        var death = new Option<string?>("--pdeathsig") { Description = "Signal the kernel sends when the parent dies.", HelpName = "SIGNAL" };
        death.Validators.Add(value =>
        {
            if (value.GetValueOrDefault<string>() is { } name && SignalNames.FromName(name) is null)
                value.AddError($"--pdeathsig: there is no signal {name}");
        });
        var session = new Option<bool>("--setsid") { Description = "Lead a new session." };
        var group = new Option<bool>("--setpgid") { Description = "Lead a new process group." };
        var foreground = new Option<bool>("--foreground") { Description = "Give the terminal to that group." };
        var directory = new Option<string?>("--chdir") { Description = "Begin in this directory." };
        var mask = new Option<string?>("--umask") { Description = "What is taken from the rights of its new files.", HelpName = "OCTAL" };
        var escaped = new Option<bool>("--escaped") { Description = "Program and arguments are percent-encoded." };
        var drop = new Option<bool>("--drop-capabilities") { Description = "Lose for good what would let it past the proxy." };
        var sockets = new Option<bool>("--limit-sockets") { Description = "Lose the families of sockets that no packet filter sees." };
        var noNew = new Option<bool>("--no-new-privs") { Description = "Let set-user-ID programs give it nothing." };
        var noLinks = new Option<string[]>("--no-links") { Description = "A directory in which it follows no symbolic links.", HelpName = "DIR" };
        var command = new Argument<string[]>("command") { Description = "Program and arguments.", Arity = ArgumentArity.OneOrMore };
        var verb = new Command("exec", "Change user and session, then become another program.") { user, death, session, group, foreground, directory, mask, escaped, drop, sockets, noNew, noLinks, command };
        verb.Hidden = true;
        verb.SetAction(parsed => Run(parsed.GetValue(user), new ProgramReplacement(
            parsed.GetValue(escaped) ? [.. parsed.GetValue(command)!.Select(ByteText.Unescape)] : parsed.GetValue(command)!)
        {
            ParentDeathSignal = parsed.GetValue(death) is { } name ? SignalNames.FromName(name) : null,
            NewSession = parsed.GetValue(session),
            NewGroup = parsed.GetValue(group),
            Foreground = parsed.GetValue(foreground),
            Directory = parsed.GetValue(directory),
            FileMask = parsed.GetValue(mask) is { } octal ? Convert.ToUInt32(octal, 8) : null,
            DropsCapabilities = parsed.GetValue(drop),
            LimitsSockets = parsed.GetValue(sockets),
            NoNewPrivileges = parsed.GetValue(noNew),
            LinklessDirectories = parsed.GetValue(noLinks) ?? [],
        }));
        return verb;
    }

    private static int Run(string? user, ProgramReplacement replacement)
    {
        try
        {
            var record = user is null ? null : new UserDatabase("/etc").Find(user) ?? throw new IOException($"user {user} is not in /etc/passwd");
            (replacement with { User = record }).Run();
            return CannotExecute;
        }
        catch (IOException error)
        {
            Console.Error.WriteLine($"discobot exec: {error.Message}");
            return error is LibcException { Number: LibcException.NotFound } ? NotFound : CannotExecute;
        }
    }
}
