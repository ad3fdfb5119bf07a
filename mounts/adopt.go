package mounts

type oldRoot struct{}

func (o *oldRoot) close() {}

func (p *placing) adopt() (bool, error) { return false, nil }
func (p *placing) link() error          { return nil }
func (p *placing) copyIn() error        { return nil }
