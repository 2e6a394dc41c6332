using System.CommandLine;
using Discobot.Features.Configuration;

namespace Discobot.Features.CommandLine;

/// <summary><c>--output FILE</c> and <c>--force</c>: a file in place of the standard output, which replaces none unasked.</summary>
internal sealed class OutputFile
{
    private readonly Option<string?> _output = new("--output", "-o") { Description = "Write to this new file instead of the standard output (-).", HelpName = "FILE" };
    private readonly Option<bool> _force = new("--force") { Description = "Replace the file of --output." };

    public void AddTo(Command command)
    {
        command.Options.Add(_output);
        command.Options.Add(_force);
    }

    /// <exception cref="IOException">The file is there already, or cannot be written.</exception>
    public async Task WriteAsync(ParseResult parsed, string text, CancellationToken cancellation)
    {
        if (parsed.GetValue(_output) is not { } file || file == "-")
        {
            await parsed.InvocationConfiguration.Output.WriteAsync(text.AsMemory(), cancellation);
            return;
        }

        var force = parsed.GetValue(_force);
        await using var stream = Open(file, force);
        try
        {
            await using var writer = new StreamWriter(stream);
            await writer.WriteAsync(text.AsMemory(), cancellation);
        }
        catch (Exception) when (!force)
        {
            // Half a file would be taken for a whole one, and the next attempt would find it in its way.
            Remove(file);
            throw;
        }
    }

    // Unbuffered, so that what cannot be written is known before the file is closed.
    private static FileStream Open(string file, bool force)
    {
        try
        {
            return new FileStream(file, force ? FileMode.Create : FileMode.CreateNew, FileAccess.Write, FileShare.Read, bufferSize: 0);
        }
        catch (IOException) when (!force && Path.Exists(file))
        {
            throw new IOException($"{file} exists and is left as it is; --force replaces it");
        }
        catch (Exception error) when ((error is IOException or UnauthorizedAccessException) && Path.GetDirectoryName(Path.GetFullPath(file)) is { } directory && !Path.Exists(file))
        {
            throw new IOException($"{file} cannot be made: {(Directory.Exists(directory) ? WriteTrial.Into(directory) ?? error.Message : $"there is no directory {directory}")}", error);
        }
    }

    private static void Remove(string file)
    {
        try
        {
            File.Delete(file);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Why it could not be written is what is told.
        }
    }
}
