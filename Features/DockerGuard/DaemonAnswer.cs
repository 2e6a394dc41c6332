using System.Net.Sockets;
using System.Text;
using Discobot.Infrastructure.Http1;

namespace Discobot.Features.DockerGuard;

/// <summary>The head of dockerd's answer to a request that may turn the connection into a stream of bytes, and what came with it.</summary>
internal sealed class DaemonAnswer
{
    private readonly ResponseHead _head = new();
    private byte[] _bytes = new byte[4096];
    private int _length;
    private int _headLength;

    /// <summary>Whether both sides say from now on what they like. Without an upgrade (as before API 1.20) the type tells.</summary>
    public bool IsStream => _head.Status == 101 || (_head.Status == 200 && !_head.Fields.Contains("Content-Length"u8) && !_head.Fields.Contains("Transfer-Encoding"u8)
        && _head.Fields.IndexOf("Content-Type"u8, 0) is >= 0 and var type && _head.Fields.Value(type).StartsWith("application/vnd.docker."u8));

    /// <summary>As it came, with what came behind it.</summary>
    public ReadOnlyMemory<byte> Bytes => _bytes.AsMemory(0, _length);

    /// <returns>False when dockerd closed without an answer.</returns>
    /// <exception cref="MalformedMessageException">It is none.</exception>
    public async Task<bool> ReadAsync(Socket daemon, CancellationToken cancellationToken)
    {
        var scanned = 0;
        while (true)
        {
            _headLength = _head.Read(_bytes.AsSpan(0, _length), ref scanned);
            if (_headLength > 0 && _head.Status is >= 200 or 101)
                return true;
            if (_headLength > 0)
            {
                _bytes.AsSpan(_headLength, _length - _headLength).CopyTo(_bytes);
                _length -= _headLength;
                continue;
            }

            if (_length == _bytes.Length)
                Array.Resize(ref _bytes, _length * 2);
            var read = await daemon.ReceiveAsync(_bytes.AsMemory(_length), cancellationToken);
            if (read == 0)
                return false;
            _length += read;
        }
    }

    /// <summary>The same with the connection's end announced.</summary>
    public byte[] Closing()
    {
        var head = new StringBuilder($"HTTP/1.1 {_head.Status} {_head.Reason}\r\n");
        for (var i = 0; i < _head.Fields.Count; i++)
        {
            var name = Encoding.Latin1.GetString(_head.Fields.Name(i));
            if (!name.Equals("Connection", StringComparison.OrdinalIgnoreCase))
                head.Append(name).Append(": ").Append(Encoding.Latin1.GetString(_head.Fields.Value(i))).Append("\r\n");
        }

        return [.. Encoding.Latin1.GetBytes(head.Append("Connection: close\r\n\r\n").ToString()), .. Bytes.Span[_headLength..]];
    }
}
