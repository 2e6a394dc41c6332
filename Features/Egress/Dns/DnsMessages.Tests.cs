using System.Net;
using CsCheck;

namespace Discobot.Features.Egress.Dns;

public sealed class DnsMessagesTests
{
    // id 0x1234, recursion desired, one question: Example.org A.
    private static readonly byte[] Query =
        [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7, .. "Example"u8, 3, .. "org"u8, 0, 0, 1, 0, 1];

    private static DnsQuestion Question(byte[] message)
    {
        Assert.True(DnsQuestion.TryRead(message, out var question, out _));
        return question!;
    }

    [Fact]
    public void A_question_is_read_in_lower_case_and_answered_in_the_clients_own_letters()
    {
        var question = Question(Query);
        Assert.Equal(("example.org", DnsType.A, true, 512), (question.Name, question.Type, question.IsHostName, question.MaxDatagram));
        var answer = new DnsAnswer(DnsCode.NoError, [new("example.org", DnsType.A, 60, IPAddress.Parse("192.0.2.1"), null)]).Write(question, 512);
        Assert.Equal(
            "1234 8180 0001000100000000 074578616D706C65036F72670000010001 C00C000100010000003C0004C0000201".Replace(" ", "", StringComparison.Ordinal),
            Convert.ToHexString(answer));
    }

    [Fact]
    public void What_is_asked_outside_carries_nothing_of_the_clients_but_the_name()
    {
        // With an OPT record that holds a cookie of the client's.
        byte[] message = [.. Query[..11], 1, .. Query[12..], 0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8, .. "exfildat"u8];
        var question = Question(message);
        Assert.True(question.HasOpt);
        Assert.Equal(1232, question.MaxDatagram);
        Assert.Equal(
            "ABCD01000001000000000001076578616D706C65036F7267000001000100002904D0000000000000",
            Convert.ToHexString(question.ToQuery(0xABCD)));
    }

    [Fact]
    public void An_answer_must_repeat_number_and_question()
    {
        var question = Question(Query);
        var answer = DnsAnswer.Empty.Write(question with { Id = 7 }, 512);
        Assert.True(question.IsAnswer(answer, 7));
        Assert.False(question.IsAnswer(answer, 8));
        answer[13] ^= 1;
        Assert.False(question.IsAnswer(answer, 7));
        Assert.False(question.IsAnswer(Query, 0x1234));
    }

    [Fact]
    public void Aliases_are_followed_through_pointers_and_written_out()
    {
        // example.org CNAME www.example.org (a label and a pointer), which has an address.
        byte[] message =
        [
            0, 7, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0, .. Query[12..],
            0xC0, 12, 0, 5, 0, 1, 0, 0, 0, 30, 0, 6, 3, .. "www"u8, 0xC0, 12,
            0xC0, 41, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 9,
        ];
        var answer = DnsAnswer.Read(message, Question(Query).Bytes.Length)!;
        Assert.Equal(
            [new("example.org", DnsType.Cname, 30, null, "www.example.org"), new("www.example.org", DnsType.A, 60, IPAddress.Parse("192.0.2.9"), null)],
            answer.Records);
        Assert.Equal(TimeSpan.FromSeconds(30), answer.Lifetime);
        var written = answer.Write(Question(Query), 512);
        Assert.Equal(answer.Records, DnsAnswer.Read(written, Question(Query).Bytes.Length)!.Records);
    }

    [Fact]
    public void A_pointer_that_leads_round_in_a_circle_is_malformed()
    {
        byte[] message = [0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, .. Query[12..], 0xC0, 29, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 9];
        Assert.Null(DnsAnswer.Read(message, Question(Query).Bytes.Length));
    }

    [Fact]
    public void What_does_not_fit_is_left_out_and_said_to_be()
    {
        var records = Enumerable.Range(0, 60).Select(i => new DnsRecord("example.org", DnsType.A, 60, new IPAddress([192, 0, 2, (byte)i]), null)).ToArray();
        var answer = new DnsAnswer(DnsCode.NoError, records).Write(Question(Query), 512);
        Assert.True(answer.Length <= 512);
        Assert.True(DnsAnswer.IsTruncated(answer));
        Assert.InRange(DnsAnswer.Read(answer, Question(Query).Bytes.Length)!.Records.Count, 25, 59);
    }

    [Theory]
    [InlineData("", null)]
    [InlineData("1234", null)]
    [InlineData("123481000001000000000000076578616D706C65036F72670000010001", null)]
    [InlineData("123428000001000000000000076578616D706C65036F72670000010001", DnsCode.NotImplemented)]
    [InlineData("123401000002000000000000076578616D706C65036F72670000010001", DnsCode.FormatError)]
    [InlineData("123401000001000000000000076578616D706C65036F7267000001", DnsCode.FormatError)]
    [InlineData("123401000001000000000000C00C00010001", DnsCode.FormatError)]
    [InlineData("123401000001000000000000076578616D706C65036F72670000010003", DnsCode.NotImplemented)]
    public void What_is_no_query_of_one_question_is_refused(string hex, object? code)
    {
        Assert.False(DnsQuestion.TryRead(Convert.FromHexString(hex), out var question, out var error));
        Assert.Null(question);
        Assert.Equal((DnsCode?)code, error);
    }

    [Theory]
    [InlineData("a b")]
    [InlineData("a\0b")]
    [InlineData("a.b")]
    [InlineData("ü")]
    public void A_label_that_no_host_has_is_no_host_name(string label)
    {
        byte[] message = [.. Query[..12], (byte)label.Length, .. label.Select(c => (byte)c), 0, 0, 1, 0, 1];
        Assert.False(Question(message).IsHostName);
    }

    [Fact]
    public void No_bytes_break_the_reader() => Gen.Byte.Array[0, 200].Sample(bytes =>
    {
        if (DnsQuestion.TryRead(bytes, out var question, out _))
            _ = DnsAnswer.NoSuchName.Write(question!, 512);
        if (bytes.Length >= DnsQuestion.HeaderSize + 5)
            _ = DnsAnswer.Read(bytes, 5)?.Write(Question(Query), 512);
    });
}
