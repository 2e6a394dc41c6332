using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;

namespace Discobot.Features.Interception;

/// <summary>Runs the rest of a connection's pipeline with another output.</summary>
internal static class OutputStage
{
    /// <summary>Runs <paramref name="next"/> with <paramref name="output"/>, and puts back what was there.</summary>
    public static async Task RunAsync(ConnectionContext connection, PipeWriter output, ConnectionDelegate next)
    {
        var original = connection.Transport;
        connection.Transport = new Duplex(original.Input, output);
        try
        {
            await next(connection);
        }
        finally
        {
            connection.Transport = original;
        }
    }

    private sealed class Duplex(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input => input;

        public PipeWriter Output => output;
    }
}
