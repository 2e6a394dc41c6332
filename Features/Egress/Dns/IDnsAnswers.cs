using System.Net;

namespace Discobot.Features.Egress.Dns;

/// <param name="Client">Who asks.</param>
/// <param name="Server">Which of our addresses was asked.</param>
internal readonly record struct DnsParties(IPEndPoint Client, IPAddress Server);

/// <summary>Answers messages that ask for names.</summary>
internal interface IDnsAnswers
{
    /// <summary>Answers one message.</summary>
    /// <param name="message">What the client sent.</param>
    /// <param name="parties">Between whom.</param>
    /// <param name="isDatagram">Whether the answer has to fit into one.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <returns>Null when it was no question: nobody waits for an answer.</returns>
    Task<byte[]?> AnswerAsync(ReadOnlyMemory<byte> message, DnsParties parties, bool isDatagram, CancellationToken cancellation);
}
